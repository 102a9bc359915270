import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NumberMap } from './number-map.ts';

/** Few enough to meet again, and some whose lower halves are the same. */
const key = fc.oneof(
  fc.nat({ max: 40 }),
  fc.nat({ max: 40 }).map((low) => 2 ** 32 * (low % 3) + low),
  fc.maxSafeNat(),
);
const change = fc.oneof(
  fc.record({ what: fc.constant('set' as const), key, value: fc.string() }),
  fc.record({ what: fc.constant('delete' as const), key }),
  fc.record({ what: fc.constant('clear' as const) }),
);

describe('a map by numbers', () => {
  it('does what a Map does', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
        const model = new Map<number, string>();
        const map = new NumberMap<string>();
        for (const each of changes) {
          if (each.what === 'set') {
            model.set(each.key, each.value);
            map.set(each.key, each.value);
          } else if (each.what === 'delete') {
            expect(map.delete(each.key)).toBe(model.delete(each.key));
          } else {
            model.clear();
            map.clear();
          }
          expect(map.size).toBe(model.size);
        }
        for (const [known, value] of model) expect(map.get(known)).toBe(value);
        expect([...map.values()].sort()).toEqual([...model.values()].sort());
      }),
    );
  });

  it('goes on as before after a burst that it does not keep the room for', () => {
    const map = new NumberMap<number>();
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 5000; key++) map.set(key, key);
      let deleted = 0;
      for (let key = 0; key < 5000; key++) if (map.delete(key)) deleted++;
      expect(deleted).toBe(5000);
      expect(map.size).toBe(0);
      expect([...map.values()]).toEqual([]);
    }
  });

  it('finds nothing under what is no key', () => {
    const map = new NumberMap<string>();
    for (const none of [-1, -2, 0.5, NaN, Infinity, 2 ** 60]) {
      expect(map.get(none)).toBeUndefined();
      expect(map.delete(none)).toBe(false);
    }
    expect(map.size).toBe(0);
  });

  it('keeps what lies close together while a window of it moves on for long', () => {
    const map = new NumberMap<number>();
    let deleted = 0;
    for (let next = 0; next < 200_000; next++) {
      map.set(next, next);
      if (map.delete(next - 1000)) deleted++;
    }
    expect(deleted).toBe(199_000);
    expect(map.size).toBe(1000);
    for (let key = 199_000; key < 200_000; key++) expect(map.get(key)).toBe(key);
    expect(map.get(198_999)).toBeUndefined();
  });
});
