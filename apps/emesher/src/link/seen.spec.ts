import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SEEN_MAX, withSeen, type Seen } from './seen.ts';

const remembered = (positions: readonly number[]): readonly Seen[] =>
  positions.reduce<readonly Seen[]>(
    (seen, position) => withSeen(seen, { position, ingressTimeUs: position }),
    [],
  );
const rising = (steps: readonly number[]): number[] => {
  let at = 0;
  return steps.map((step) => (at += step));
};

describe('the records remembered of a log', () => {
  it('are all of them while they are few', () => {
    const positions = Array.from({ length: SEEN_MAX }, (_, n) => n * 3 + 1);
    expect(remembered(positions).map(({ position }) => position)).toEqual(positions);
  });

  it('are bounded, rising, and have the first and the last one', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(steps.map(rising), (positions) => {
        const kept = remembered(positions).map(({ position }) => position);
        expect(kept.length).toBe(Math.min(SEEN_MAX, positions.length));
        expect(kept).toEqual([...new Set(kept)].toSorted((a, b) => a - b));
        expect(kept[0]).toBe(positions[0]);
        expect(kept.at(-1)).toBe(positions.at(-1));
      }),
    );
  });

  it.each([100, 5_000, 50_000])(
    'are never much further back than the copy is, with %i records',
    (count) => {
      const kept = remembered(Array.from({ length: count }, (_, n) => n + 1));
      for (let copy = 1; copy <= count; copy++) {
        const { position } = kept.findLast((seen) => seen.position <= copy) ?? { position: 0 };
        expect(copy - position).toBeLessThanOrEqual(count - copy + 1);
      }
    },
  );
});
