import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor, seal, unseal } from './index.ts';

const ID = { log: 'events', partition: 3, subscription: 'billing' };
const ranges = fc.array(fc.tuple(fc.nat(2 ** 40), fc.nat(300)), { maxLength: 5 });
const cursor = fc
  .record({
    floor: fc.nat(2 ** 50),
    epoch: fc.nat(),
    ranges,
    state: fc.uint8Array({ maxLength: 20 }),
  })
  .map(({ floor, epoch, state, ranges: gaps }) => {
    let before = floor;
    const settled = gaps.map(([gap, length], index) => {
      // They rise and do not touch.
      const from = before + gap + (index === 0 ? 0 : 2);
      before = from + length;
      return { from, to: before };
    });
    return { floor, epoch, settled, state };
  });

describe('a cursor', () => {
  it('takes two or three bytes for each settled range above its floor', () => {
    const settled = Array.from({ length: 100_000 }, (_, at) => {
      const from = 2 ** 40 + at * 7 + 1;
      return { from, to: from + 3 };
    });
    const bytes = encodeCursor({ floor: 2 ** 40, epoch: 1, settled, state: new Uint8Array(0) });
    expect(bytes.length).toBeLessThan(280_000);
  });

  it('of an earlier build gives what it has settled above its floor again', () => {
    const old = seal({ floor: 5, epoch: 2, settled: [7, 9], state: '' });
    expect(decodeCursor(old)).toMatchObject({ floor: 5, epoch: 2, settled: [] });
  });
});

describe('sealed values', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(unseal(seal(value), 'it')).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('tell any flipped bit, and any end that is cut off', () => {
    fc.assert(
      fc.property(cursor, fc.nat(), (value, at) => {
        const bytes = encodeCursor(value);
        expect(decodeCursor(bytes, ID)).toEqual(value);
        const bit = at % (bytes.length * 8);
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const about = /subscription "billing" in log "events", partition 3, is damaged/;
        expect(() => decodeCursor(flipped, ID)).toThrow(about);
        expect(() => decodeCursor(bytes.subarray(0, at % bytes.length), ID)).toThrow(about);
      }),
    );
  });
});
