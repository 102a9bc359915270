import { describe, expect, it } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import type { Delivery, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { PublishStreamResponseSchema } from '@eventmesh/proto-gen/publisher';
import { SubscribeResponseSchema } from '@eventmesh/proto-gen/wire';
import { fromFailure } from '@eventmesh/rpc';
import { durabilityToWire } from './durability.ts';
import { encodeDeliveries } from './encode-deliveries.ts';
import { encodeOutcomes } from './encode-outcomes.ts';

const position = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: 'grapheme', maxLength: 200 });

const receipt: fc.Arbitrary<Receipt> = fc.record({
  site: fc.constantFrom('west', 'öst'),
  partition: fc.nat(70_000),
  position,
  duplicate: fc.boolean(),
  durability: fc.constantFrom('fsync', 'quorum-fsync', undefined),
  noInterest: fc.boolean(),
  destinations: fc.array(fc.constantFrom('east', 'north'), { maxLength: 3 }),
});
const failure = fc
  .record({ message: text, field: fc.constantFrom('event', 'topic') })
  .map(({ message, field }) => new MeshError('InvalidArgument', message, { field, limit: '9' }));

describe('a frame of outcomes', () => {
  it('decodes by the generated code to what was put in, whatever stands next to each other', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(receipt, failure)), fc.nat(70_000), (outcomes, window) => {
        const { bytes } = encodeOutcomes(outcomes, window);
        const message = fromBinary(PublishStreamResponseSchema, bytes);
        expect(message.windowEvents).toBe(window);
        const back = message.outcomes.map(({ outcome }) => {
          if (outcome.case === 'failure') return fromFailure(outcome.value);
          return outcome.value;
        });
        expect(back).toHaveLength(outcomes.length);
        for (const [index, want] of outcomes.entries()) {
          const have = back[index];
          if (want instanceof MeshError) {
            expect(have).toMatchObject({ message: want.message, details: want.details });
          } else {
            const { durability, position: at, destinations, ...same } = want;
            expect(have).toMatchObject({
              ...same,
              destinations,
              position: BigInt(at),
              durability: durabilityToWire(durability),
            });
          }
        }
      }),
    );
  });
});

const delivery: fc.Arbitrary<Delivery> = fc.record({
  id: position,
  attempt: fc.nat(1000),
  topic: text,
  event: fc.uint8Array({ maxLength: 300 }),
  partition: fc.nat(64),
  position,
  originSite: fc.constantFrom('west', ''),
  ingressTimeUs: position,
});

describe('a frame of deliveries', () => {
  it('decodes by the generated code to what was put in', () => {
    fc.assert(
      fc.property(fc.array(delivery), (deliveries) => {
        const { message } = fromBinary(SubscribeResponseSchema, encodeDeliveries(deliveries).bytes);
        const frame = message.case === 'deliveries' ? message.value.deliveries : [];
        expect(
          frame.map(
            ({
              id,
              position: at,
              ingressTimeUs,
              event,
              attempt,
              topic,
              partition,
              originSite,
            }) => ({
              id: Number(id),
              attempt,
              topic,
              event: Buffer.from(event),
              partition,
              position: Number(at),
              originSite,
              ingressTimeUs: Number(ingressTimeUs),
            }),
          ),
        ).toEqual(deliveries.map((each) => ({ ...each, event: Buffer.from(each.event) })));
      }),
    );
  });
});
