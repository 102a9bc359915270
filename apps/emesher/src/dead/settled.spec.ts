import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor } from '@eventmesh/store-api';
import { Settled } from './settled.ts';

const LAST = 60;

describe('what is settled of the dead letters', () => {
  it('equals a plain set of positions, also after it was written and read', () => {
    const step = fc.oneof(
      { weight: 9, arbitrary: fc.record({ add: fc.integer({ min: 1, max: LAST }) }) },
      { weight: 1, arbitrary: fc.record({ raise: fc.integer({ min: 1, max: LAST }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let settled = new Settled();
        const model = new Set<number>();
        for (const each of steps) {
          if ('add' in each) {
            settled.add(each.add, each.add * 10);
            model.add(each.add);
          } else {
            settled.raise(each.raise);
            for (let position = 1; position < each.raise; position++) model.add(position);
          }
          settled = new Settled(decodeCursor(encodeCursor(settled.toCursor(3))));
          let floor = 1;
          while (model.has(floor)) floor++;
          expect(settled.floor).toBe(floor);
          const above = [...model].filter((position) => position > floor);
          expect(settled.above).toEqual({
            count: above.length,
            bytes: above.reduce((sum, position) => sum + position * 10, 0),
          });
          for (let at = 1; at <= LAST + 1; at++) expect(settled.has(at)).toBe(model.has(at));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses to lie in more ranges than a cursor holds, and still takes the oldest', () => {
    const settled = new Settled();
    for (let n = 1; n <= 100_000; n++) settled.add(n * 2, 1000 + (n % 500));
    expect(() => settled.add(400_000, 1)).toThrow(/from id 1 on/);
    expect(settled.has(400_000)).toBe(false);
    // A store takes a value of 1 MiB, and cursors are base64 in JSON there.
    expect(encodeCursor(settled.toCursor(1)).length).toBeLessThan(700_000);
    settled.add(3, 1);
    settled.add(1, 1);
    expect(settled.floor).toBe(5);
    settled.add(400_000, 1);
    expect(settled.has(400_000)).toBe(true);
  });
});
