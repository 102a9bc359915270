import { describe, expect, it } from '@jest/globals';
import { waitOf } from './request.ts';

const NOW = 1_000_000;

describe('how long a gRPC request waits for its reply', () => {
  it.each<[string, bigint, number | undefined, number]>([
    ['30 s when nothing is said', 0n, undefined, 30_000],
    ['as long as the request says', 5000n, undefined, 5000],
    ['as long as the request says, within the call', 5000n, 7000, 5000],
    ['a little less than the call, to answer in time', 0n, 1000, 875],
    ['a little less than a long call', 0n, 60_000, 59_750],
    ['a little less than the call, also when the request says more', 5000n, 5000, 4750],
    ['at most five minutes', 0n, 10_000_000, 300_000],
    ['at least a moment', 0n, 1, 1],
  ])('%s', (_, wanted, left, expected) => {
    expect(waitOf(wanted, left === undefined ? undefined : NOW + left, NOW)).toBe(expected);
  });

  it.each([-1n, 300_001n, 2n ** 63n - 1n])('refuses %d ms, naming the limit', (wanted) => {
    expect(() => waitOf(wanted, undefined, NOW)).toThrow(
      expect.objectContaining({
        code: 'InvalidArgument',
        details: expect.objectContaining({ field: 'timeout_ms' }),
      }),
    );
  });

  it('refuses a call whose deadline has passed', () => {
    expect(() => waitOf(0n, NOW, NOW)).toThrow(
      expect.objectContaining({ code: 'DeadlineExceeded' }),
    );
  });
});
