import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor, seal, unseal } from './index.ts';

const ID = { log: 'events', partition: 3, subscription: 'billing' };
const cursor = fc.record({
  floor: fc.nat(),
  epoch: fc.nat(),
  settled: fc.array(fc.record({ from: fc.nat(), to: fc.nat() }), { maxLength: 3 }),
  state: fc.uint8Array({ maxLength: 20 }),
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
