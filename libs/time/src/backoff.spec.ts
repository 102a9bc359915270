import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Backoff, doubled, jittered } from './backoff.ts';

describe('doubled', () => {
  it.each([
    [50, 1000, 0, 50],
    [50, 1000, 1, 100],
    [50, 1000, 4, 800],
    [50, 1000, 5, 1000],
    [50, 1000, 5000, 1000],
    [0, 1000, 5000, 0],
    [2000, 1000, 0, 1000],
  ])('of %d ms, at most %d ms, %d times is %d ms', (ms, maxMs, times, expected) => {
    expect(doubled(ms, maxMs, times)).toBe(expected);
  });

  it('never falls and never exceeds its bound', () => {
    const ms = fc.integer({ min: 0, max: 100_000 });
    const maxMs = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(ms, maxMs, fc.nat(3000), (first, max, times) => {
        const now = doubled(first, max, times);
        expect(now).toBeLessThanOrEqual(max);
        expect(doubled(first, max, times + 1)).toBeGreaterThanOrEqual(now);
      }),
    );
  });
});

describe('jittered', () => {
  it.each([
    [0, 50],
    [0.5, 75],
    [1 - 2 ** -53, 100],
  ])('takes a random %d of 100 ms to %d ms', (random, expected) => {
    expect(jittered(100, () => random)).toBeCloseTo(expected, 9);
  });
});

describe('Backoff', () => {
  it('doubles up to its cap, spreads over the upper half and starts anew after success', () => {
    const options = { baseMs: 100, maxMs: 1000 };
    const low = new Backoff({ ...options, random: () => 0 });
    const high = new Backoff({ ...options, random: () => 0.999 });
    const waits = (backoff: Backoff) => [1, 2, 3, 4, 5, 6].map(() => backoff.nextMs());
    expect(waits(low)).toEqual([50, 100, 200, 400, 500, 500]);
    expect(waits(high)).toEqual([100, 200, 400, 800, 1000, 1000]);
    high.reset();
    expect(high.nextMs()).toBe(100);
  });

  it('gives whole numbers in the upper half of what it would be without chance', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const ms = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(ms, ms, fc.array(random, { maxLength: 60 }), (baseMs, maxMs, randoms) => {
        const left = randoms.values();
        const backoff = new Backoff({ baseMs, maxMs, random: () => left.next().value ?? 0 });
        randoms.forEach((_, times) => {
          const fullMs = doubled(baseMs, maxMs, times);
          const waitMs = backoff.nextMs();
          expect(Number.isSafeInteger(waitMs)).toBe(true);
          expect(waitMs).toBeGreaterThanOrEqual(fullMs / 2);
          expect(waitMs).toBeLessThanOrEqual(Math.ceil(fullMs));
        });
      }),
    );
  });
});
