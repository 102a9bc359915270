import { describe, expect, it } from '@jest/globals';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { SubscribeResponseSchema } from '@eventmesh/proto-gen/wire';
import { decodeStreamMessage } from './decode-deliveries.ts';

const count = fc.bigInt({ min: 0n, max: 2n ** 53n - 1n });
const delivery = fc.record({
  id: count,
  attempt: fc.nat(),
  topic: fc.string({ unit: 'grapheme' }),
  event: fc.uint8Array({ maxLength: 300 }),
  partition: fc.nat(),
  position: count,
  originSite: fc.string(),
  ingressTimeUs: count,
});

const encoded = (init: MessageInitShape<typeof SubscribeResponseSchema>) =>
  Buffer.from(toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, init)));

const frame = (deliveries: MessageInitShape<typeof SubscribeResponseSchema>['message']) =>
  encoded({ message: deliveries ?? { case: undefined } });

describe('a message of a subscription', () => {
  it('with deliveries reads as what was written', () => {
    fc.assert(
      fc.property(fc.array(delivery, { maxLength: 5 }), (deliveries) => {
        const bytes = frame({ case: 'deliveries', value: { deliveries } });
        expect(decodeStreamMessage(bytes)).toEqual({
          deliveries: deliveries.map(({ event, position, ingressTimeUs, ...rest }) => ({
            ...rest,
            event: Buffer.from(event),
            position: Number(position),
            ingressTimeUs: Number(ingressTimeUs),
          })),
        });
      }),
    );
  });

  it('shares the memory of the frame', () => {
    const event = Buffer.alloc(100, 7);
    const bytes = frame({ case: 'deliveries', value: { deliveries: [{ event }] } });
    const read = decodeStreamMessage(bytes);
    expect('deliveries' in read && read.deliveries[0]?.event.buffer).toBe(bytes.buffer);
  });

  const others: Extract<MessageInitShape<typeof SubscribeResponseSchema>['message'], object>[] = [
    { case: 'opened', value: { consumer: 'c1' } },
    { case: 'gap', value: { partition: 3, fromPosition: 5n, toPosition: 9n } },
    { case: 'ended', value: { reason: { message: 'was deleted' } } },
  ];
  it.each(others)(
    'that is not of deliveries reads as the general decoder has it: $case',
    (other) => {
      expect(decodeStreamMessage(frame(other))).toMatchObject({ other });
    },
  );

  it('takes the last of a oneof that is there twice, and joins frames, as protobuf wants it', () => {
    const one = frame({ case: 'deliveries', value: { deliveries: [{ id: 1n }] } });
    const two = frame({ case: 'deliveries', value: { deliveries: [{ id: 2n }] } });
    const gap = frame({ case: 'gap', value: { partition: 3 } });
    expect(decodeStreamMessage(Buffer.concat([one, gap]))).toMatchObject({
      other: { case: 'gap' },
    });
    const both = decodeStreamMessage(Buffer.concat([one, two]));
    expect('deliveries' in both && both.deliveries.map(({ id }) => id)).toEqual([1n, 2n]);
  });

  it('of a newer mesh may have fields that are not known yet', () => {
    const [unknown, id] = [Buffer.from([0x4a, 0x01, 0x00]), Buffer.from([0x08, 0x05])];
    const inner = Buffer.concat([unknown, id]);
    const list = Buffer.concat([Buffer.from([0x0a, inner.length]), inner]);
    const read = decodeStreamMessage(Buffer.concat([Buffer.from([0x12, list.length]), list]));
    expect(read).toMatchObject({ deliveries: [{ id: 5n }] });
  });

  it('is refused when it is cut off anywhere', () => {
    const whole = frame({
      case: 'deliveries',
      value: { deliveries: [{ id: 3n, topic: 'a/b', event: Buffer.alloc(20), position: 300n }] },
    });
    for (let length = 1; length < whole.length; length++) {
      expect(() => decodeStreamMessage(whole.subarray(0, length))).toThrow();
    }
  });

  it('is refused when a delivery reaches beyond its own end', () => {
    // A delivery of 2 bytes whose topic says that it has 5.
    const bytes = Buffer.from([0x12, 0x09, 0x0a, 0x02, 0x1a, 0x05, 1, 2, 3, 4, 5]);
    expect(() => decodeStreamMessage(bytes)).toThrow('longer than it says');
  });
});
