import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReadAhead } from './read-ahead.ts';

/** Small ones, and some that fill a chunk or more. */
const size = fc.oneof(
  { weight: 20, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.integer({ min: 200_000, max: 600_000 }) },
);

function recordOf(position: number, bytes: number): Buffer {
  const record = Buffer.alloc(bytes, position % 251);
  if (bytes >= 6) record.writeUIntBE(position, 0, 6);
  return record;
}

describe('timers that are read ahead', () => {
  it('have their records, whatever their sizes and however often the memory is used again', () => {
    const round = fc.record({
      sizes: fc.array(size, { minLength: 1, maxLength: 150 }),
      cutTo: fc.nat(150),
      release: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 4 }), (rounds) => {
        const ahead = new ReadAhead();
        for (const { sizes, cutTo, release } of rounds) {
          // In the order of their times, which turns that of their positions around.
          const all = sizes.map((bytes, index) => ({ bytes, position: sizes.length - index }));
          for (const { position } of all) ahead.push({ dueMs: 1000 - position, position });
          const keep = (timers: typeof all) => {
            const bytes = new Map(timers.map((timer) => [timer.position, timer.bytes]));
            for (const position of ahead.sorted()) {
              ahead.keep(recordOf(position, bytes.get(position) ?? 0));
            }
            for (const [index, timer] of timers.entries()) {
              const { position } = timer;
              expect(ahead.at(index)).toEqual({ dueMs: 1000 - position, position });
              const found = Buffer.from(ahead.record(position) ?? []);
              expect(found.equals(recordOf(position, timer.bytes))).toBe(true);
            }
            expect(ahead.bytes).toBe(timers.reduce((sum, timer) => sum + timer.bytes, 0));
            expect(ahead.record(timers.length === 0 ? 1 : sizes.length + 1)).toBeUndefined();
          };
          keep(all);
          const later: number[] = [];
          ahead.cut(Math.min(cutTo, all.length), ({ position }) => later.push(position));
          expect(later).toEqual(all.slice(cutTo).map(({ position }) => position));
          expect(ahead.record(sizes.length)).toBeUndefined();
          keep(all.slice(0, cutTo));
          if (release) ahead.release();
          else ahead.clear();
          expect(ahead.at(0)).toBeUndefined();
        }
      }),
      { numRuns: 50 },
    );
  });
});
