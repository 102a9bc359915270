import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PositionSet } from './position-set.ts';

/** Neighbours, the ends of words and of pages, and far beyond what 32 bits hold. */
const position = fc.oneof(
  fc.nat(100),
  fc.integer({ min: 65_500, max: 65_600 }),
  fc.integer({ min: 2 ** 40 - 50, max: 2 ** 40 + 50 }),
);
const step = fc.record({ kind: fc.constantFrom('add' as const, 'delete' as const), position });

describe('a set of positions', () => {
  it('has what a set has, and finds the next one from anywhere', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.array(position), (steps, from) => {
        const set = new PositionSet();
        const model = new Set<number>();
        for (const { kind, position } of steps) {
          set[kind](position);
          model[kind](position);
        }
        expect(set.size).toBe(model.size);
        for (const at of [0, ...from, ...model]) {
          expect(set.has(at)).toBe(model.has(at));
          const later = [...model].filter((each) => each >= at);
          expect(set.next(at)).toBe(later.length === 0 ? undefined : Math.min(...later));
        }
      }),
    );
  });
});
