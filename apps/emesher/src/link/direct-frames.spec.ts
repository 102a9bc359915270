import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { framesOf, type DirectRecord } from './direct-frames.ts';

const BYTES_MAX = 100;

const record: fc.Arbitrary<DirectRecord> = fc
  .uint8Array({ maxLength: 150 })
  .map((bytes) => ({ position: 0n, record: Buffer.from(bytes), destinations: ['east'] }));
const bytesOf = (records: readonly DirectRecord[]): number =>
  records.reduce((sum, each) => sum + each.record.length, 0);

describe('frames of direct events', () => {
  it('have all of them in order, and no more bytes than allowed unless one alone has', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), (records) => {
        const frames = [...framesOf(records, BYTES_MAX)];
        expect(frames.flat()).toEqual(records);
        for (const frame of frames) {
          expect(frame.length).toBeGreaterThan(0);
          expect(frame.length === 1 || bytesOf(frame) <= BYTES_MAX).toBe(true);
        }
        // None is cut off early.
        for (const [at, frame] of frames.entries()) {
          const next = frames[at + 1]?.[0];
          if (next !== undefined) expect(bytesOf([...frame, next])).toBeGreaterThan(BYTES_MAX);
        }
      }),
    );
  });

  it('have 1,024 events at most', () => {
    const many = Array.from({ length: 2500 }, () => ({
      ...{ position: 0n as const, record: Buffer.alloc(0), destinations: [] },
    }));
    expect([...framesOf(many, BYTES_MAX)].map(({ length }) => length)).toEqual([1024, 1024, 452]);
  });
});
