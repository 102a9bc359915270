import { describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord, type AttributeValue } from '@eventmesh/event';
import fc from 'fast-check';
import { MESSAGE_GROWTH_MAX, MessageEncoder } from './message-encoder.ts';

const value: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({
    kind: fc.constant('integer' as const),
    value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  }),
  fc.record({
    kind: fc.constantFrom('string' as const, 'uri' as const, 'uri-reference' as const),
    value: fc.string({ unit: 'binary', maxLength: 40 }),
  }),
  fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({
    kind: fc.constant('timestamp' as const),
    seconds: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
    nanos: fc.nat(999_999_999),
  }),
);
const record = fc
  .record({
    topic: fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
    id: fc.string({ unit: 'binary', maxLength: 20 }),
    attributes: fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,3}$/), value), { maxLength: 8 }),
    data: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ topic, id, attributes, data }) => {
    const event = encodeEvent({
      id,
      source: '',
      type: '',
      attributes,
      data: { kind: 'binary', bytes: data },
    });
    const head = {
      tenant: 't',
      principal: '',
      originSite: '',
      destinations: [],
      ingressTimeUs: 0,
      hops: [],
    };
    return encodeRecord({ ...head, topic }, event);
  });

describe('a message that is written', () => {
  it('takes no more than what it was said to take, whatever its record holds', () => {
    const encoder = new MessageEncoder();
    const given = fc.oneof(record, fc.uint8Array({ minLength: 1, maxLength: 200 }));
    fc.assert(
      fc.property(given, fc.string({ unit: 'binary', maxLength: 40 }), (bytes, dedupKey) => {
        encoder.open({ bytes, dedupKey });
        const out = Buffer.alloc(encoder.bytesMax);
        const end = encoder.writePayload(
          out,
          encoder.writeHeaders(out, encoder.writeSubject(out, 0)),
        );
        expect(end).toBeLessThanOrEqual(out.length);
        expect(end).toBeLessThanOrEqual(
          MESSAGE_GROWTH_MAX.bytes +
            MESSAGE_GROWTH_MAX.times * (bytes.length + 3 * dedupKey.length),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
