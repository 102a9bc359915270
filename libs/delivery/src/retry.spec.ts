import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SUBSCRIPTION_DEFAULTS, retryDelayMs, type RetryPolicy } from './index.ts';

const policy = (given: Partial<RetryPolicy>): RetryPolicy => ({
  ...SUBSCRIPTION_DEFAULTS.retry,
  delayMs: 100,
  delayMaxMs: 1000,
  attemptsMax: 6,
  ...given,
});

const delays = (given: Partial<RetryPolicy>, random = 0) =>
  [1, 2, 3, 4, 5, 6].map((failures) => retryDelayMs(policy(given), failures, () => random));

describe('the delay before another try', () => {
  it.each([
    ['none', {}, [undefined, undefined, undefined, undefined, undefined, undefined]],
    ['linear', {}, [100, 200, 300, 400, 500, undefined]],
    ['linear', { delayMaxMs: 250 }, [100, 200, 250, 250, 250, undefined]],
    ['exponential', {}, [100, 200, 400, 800, 1000, undefined]],
    ['exponential', { attemptsMax: 3 }, [100, 200, undefined, undefined, undefined, undefined]],
    ['list', { delaysMs: [5, 50] }, [5, 50, 50, 50, 50, undefined]],
  ] as const)('is by the policy %s %j: %j', (kind, more, expected) => {
    expect(delays({ kind, ...more })).toEqual(expected);
  });

  it.each([
    ['linear', [90, 180, 270, 360, 450, undefined]],
    ['exponential', [50, 100, 200, 400, 500, undefined]],
    ['list', [90, 45, 45, 45, 45, undefined]],
  ] as const)('%s has this taken off at most: %j', (kind, expected) => {
    expect(delays({ kind, delaysMs: [100, 50] }, 1)).toEqual(expected);
  });

  it('is a number from 0 to the longest one, however often an event has failed', () => {
    const any = fc.record({
      kind: fc.constantFrom('linear' as const, 'exponential' as const),
      delayMs: fc.nat(86_400_000),
      failures: fc.integer({ min: 1, max: 999 }),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(any, ({ kind, delayMs, failures, random }) => {
        const given = policy({ kind, delayMs, delayMaxMs: 86_400_000, attemptsMax: 1000 });
        const delay = retryDelayMs(given, failures, () => random) ?? -1;
        expect(Number.isSafeInteger(delay) && delay >= 0 && delay <= 86_400_000).toBe(true);
      }),
    );
  });
});
