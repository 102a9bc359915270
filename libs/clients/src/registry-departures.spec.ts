import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RegistryDepartures } from './registry-departures.ts';

const GRACE_MS = 5000;

function setUp() {
  const gone: string[] = [];
  return { gone, departures: new RegistryDepartures(GRACE_MS, (id) => gone.push(id)) };
}

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

describe('a member that leaves', () => {
  it('is gone at once while the registry was there all the time', () => {
    const { gone, departures } = setUp();
    departures.left('a');
    expect(gone).toEqual(['a']);
    departures.returned();
    jest.advanceTimersByTime(GRACE_MS);
    departures.left('b');
    expect(gone).toEqual(['a', 'b']);
  });

  it('as the registry comes back is gone after the time to join again, when it has not', () => {
    const { gone, departures } = setUp();
    departures.returned();
    departures.left('a');
    jest.advanceTimersByTime(1000);
    departures.left('b');
    departures.here('a');
    departures.left('c');
    jest.advanceTimersByTime(GRACE_MS - 1001);
    expect(gone).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(gone).toEqual(['b', 'c']);
  });

  it('has its whole time again when the registry was away once more', () => {
    const { gone, departures } = setUp();
    departures.returned();
    departures.left('a');
    jest.advanceTimersByTime(GRACE_MS - 1);
    departures.returned();
    jest.advanceTimersByTime(GRACE_MS - 1);
    expect(gone).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(gone).toEqual(['a']);
  });

  it('is not told any more after the end', () => {
    const { gone, departures } = setUp();
    departures.returned();
    departures.left('a');
    departures.close();
    jest.advanceTimersByTime(GRACE_MS);
    expect(gone).toEqual([]);
  });
});
