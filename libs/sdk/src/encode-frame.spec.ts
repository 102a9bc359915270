import { describe, expect, it } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { PublishStreamRequestSchema } from '@eventmesh/proto-gen/wire';
import { encodeFrame } from './encode-frame.ts';

const count = fc.bigInt({ min: 0n, max: 2n ** 53n - 1n });
const item = fc.record({
  topic: fc.string({ unit: 'grapheme' }),
  event: fc.uint8Array({ maxLength: 300 }),
  deliveryClass: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  expiresAfterMs: count,
  deliverAtMs: count,
  deliverAfterMs: count,
  latePolicy: fc.constantFrom<0 | 1 | 2 | 3>(0, 1, 2, 3),
  sequence: count,
});
const producer = fc.option(
  fc.record({ id: fc.string(), epoch: fc.integer({ min: 1, max: 2 ** 31 - 1 }) }),
  { nil: undefined },
);

describe('a frame of events', () => {
  it('reads as the message that it stands for', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5 }), producer, (events, who) => {
        const read = fromBinary(PublishStreamRequestSchema, encodeFrame(events, who).bytes);
        const plain = read.events.map(({ $typeName: _type, event, ...rest }) => {
          return { ...rest, event: Buffer.from(event) };
        });
        expect(plain).toEqual(events.map((each) => ({ ...each, event: Buffer.from(each.event) })));
        expect(read.producer?.id).toBe(who?.id);
        expect(read.producer?.epoch).toBe(who === undefined ? undefined : BigInt(who.epoch));
      }),
    );
  });
});
