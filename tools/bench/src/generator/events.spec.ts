import { describe, expect, it } from '@jest/globals';
import { checkEvent } from '@eventmesh/event';
import { DATA_BYTES, EventSource } from './events.ts';

describe('the events of the generator', () => {
  it('are valid, of 1 KiB, and each has an id of its own, over a carry of its digits', () => {
    const source = new EventSource();
    const events = Array.from({ length: 1234 }, () => checkEvent(source.next()));
    expect(new Set(events.map(({ id }) => id)).size).toBe(1234);
    expect(events.at(-1)?.id.endsWith('-000000001234')).toBe(true);
    expect(events.every(({ data }) => data?.bytes.length === DATA_BYTES)).toBe(true);
  });

  it('differ from those of another source', () => {
    expect(new EventSource().next().equals(new EventSource().next())).toBe(false);
  });
});
