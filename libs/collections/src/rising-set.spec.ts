import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RisingSet } from './rising-set.ts';

const change = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant('add' as const), by: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('delete' as const), back: fc.nat({ max: 60 }) }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('first' as const) }) },
);

describe('a rising set', () => {
  it('does what a Set of rising numbers does', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.array(change, { maxLength: 400 }), (start, changes) => {
        const model = new Set<number>();
        const set = new RisingSet();
        let last = Math.min(start, 2 ** 53 - 2000);
        for (const each of changes) {
          if (each.what === 'add') {
            last += each.by;
            model.add(last);
            set.add(last);
          } else {
            const [first = last] = model;
            const gone = each.what === 'first' ? first : last - each.back;
            expect(set.has(gone)).toBe(model.has(gone));
            expect(set.delete(gone)).toBe(model.delete(gone));
          }
          expect(set.size).toBe(model.size);
          expect(set.first).toBe([...model][0]);
        }
        expect([...set]).toEqual([...model]);
      }),
    );
  });

  it('takes no number that does not rise', () => {
    const set = new RisingSet();
    set.add(5);
    expect(() => set.add(5)).toThrow(RangeError);
    expect(() => set.add(4)).toThrow(RangeError);
    expect([...set]).toEqual([5]);
  });

  it('begins anywhere once it is empty', () => {
    const set = new RisingSet();
    set.add(0);
    set.delete(0);
    set.add(0);
    expect([...set]).toEqual([0]);
    expect(set.has(1)).toBe(false);
  });

  it('finds all when one stays below and all others go', () => {
    const set = new RisingSet();
    set.add(0);
    let deleted = 0;
    for (let next = 1; next < 100_000; next++) {
      set.add(next);
      if (set.delete(next)) deleted++;
    }
    expect(deleted).toBe(99_999);
    expect([...set]).toEqual([0]);
    expect(set.first).toBe(0);
  });
});
