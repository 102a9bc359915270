import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Pace } from './pace.ts';

describe('the pace of a lane', () => {
  it('has no bound at rate 0', () => {
    const pace = new Pace(0, () => 0);
    pace.take(1_000_000);
    expect([pace.available > 1_000_000, pace.waitMs]).toEqual([true, 0]);
  });

  it('begins with one event, not with a burst', () => {
    let now = 0;
    const pace = new Pace(1000, () => now);
    expect(pace.available).toBe(1);
    pace.take(1);
    expect([pace.available, pace.waitMs]).toEqual([0, 1]);
    now = 5;
    expect(pace.available).toBe(5);
  });

  it('waits as long as one event takes when the rate is below one a tick', () => {
    let now = 0;
    const pace = new Pace(2, () => now);
    pace.take(1);
    expect(pace.waitMs).toBe(500);
    now = 499;
    expect(pace.available).toBe(0);
    now = 500;
    expect(pace.available).toBe(1);
  });

  it('lets out, over any second or more, the rate within ten per cent, however late it is asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(fc.double({ min: 0.1, max: 40, noNaN: true }), { minLength: 100, maxLength: 400 }),
        (rate, pauses) => {
          let now = 0;
          const pace = new Pace(rate, () => now);
          let out = 0;
          for (const pause of pauses) {
            now += pause;
            const allowed = pace.available;
            pace.take(allowed);
            out += allowed;
          }
          const expected = (rate * now) / 1000;
          expect(out).toBeLessThanOrEqual(expected * 1.1 + 1);
          // No pause was longer than a burst lasts, so nothing was given away.
          expect(out).toBeGreaterThanOrEqual(Math.floor(expected) - 1);
        },
      ),
    );
  });

  it('gives away what a long pause would have let out, beyond a twentieth of a second', () => {
    let now = 0;
    const pace = new Pace(1000, () => now);
    now = 60_000;
    expect(pace.available).toBe(51);
  });
});
