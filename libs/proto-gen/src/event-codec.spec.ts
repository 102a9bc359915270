import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  EventView,
  checkEvent,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  type AttributeValue,
  type EventData,
} from '@eventmesh/event';
import { CloudEventSchema, type CloudEvent } from '@eventmesh/proto-gen/cloudevents';
import { RecordSchema } from '@eventmesh/proto-gen/event';

/** The hand-written codecs of libs/event against the generated ones: two readings of one contract. */

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 200 });
const attribute: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('integer' as const), value: fc.integer() }),
  fc.record({ kind: fc.constantFrom('string', 'uri', 'uri-reference'), value: text }),
  fc.record({ kind: fc.constant('bytes' as const), value: bytes.map((b) => Buffer.from(b)) }),
  fc.record({
    kind: fc.constant('timestamp' as const),
    seconds: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  }),
);
const word = fc.stringMatching(/^[a-z]{1,8}$/);
const parts = fc.record({
  id: word,
  source: word,
  type: word,
  attributes: fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,20}$/), attribute, { maxKeys: 6 }),
  data: fc.oneof(
    fc.record({ kind: fc.constant('binary' as const), bytes: bytes.map((b) => Buffer.from(b)) }),
    fc.record({ kind: fc.constant('text' as const), bytes: text.map((t) => Buffer.from(t)) }),
  ),
});

type Attr = CloudEvent['attributes'][string]['attr'];

function generatedAttr(value: AttributeValue): Attr {
  switch (value.kind) {
    case 'boolean':
      return { case: 'ceBoolean', value: value.value };
    case 'integer':
      return { case: 'ceInteger', value: value.value };
    case 'bytes':
      return { case: 'ceBytes', value: new Uint8Array(value.value) };
    case 'timestamp':
      return {
        case: 'ceTimestamp',
        value: {
          $typeName: 'google.protobuf.Timestamp',
          seconds: BigInt(value.seconds),
          nanos: value.nanos,
        },
      };
    case 'string':
      return { case: 'ceString', value: value.value };
    case 'uri':
      return { case: 'ceUri', value: value.value };
    case 'uri-reference':
      return { case: 'ceUriRef', value: value.value };
  }
}

function generatedData(data: EventData): CloudEvent['data'] {
  return data.kind === 'text'
    ? { case: 'textData', value: Buffer.from(data.bytes).toString() }
    : { case: 'binaryData', value: new Uint8Array(data.bytes) };
}

type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

function generated(given: Parts): CloudEvent {
  return create(CloudEventSchema, {
    id: given.id,
    source: given.source,
    specVersion: '1.0',
    type: given.type,
    attributes: Object.fromEntries(
      Object.entries(given.attributes).map(([name, value]) => [name, { attr: generatedAttr(value) }]),
    ),
    data: generatedData(given.data),
  });
}

describe('the event codec and the generated code', () => {
  it('agree on what encodeEvent writes', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const encoded = encodeEvent({ ...given, attributes: Object.entries(given.attributes) });
        expect(fromBinary(CloudEventSchema, encoded)).toEqual(generated(given));
      }),
    );
  });

  it('agree on what the generated code writes', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const view = new EventView(toBinary(CloudEventSchema, generated(given)));
        expect([view.id, view.source, view.type]).toEqual([given.id, given.source, given.type]);
        // proto3 leaves out a false, a zero and an empty text inside a oneof never: all come back.
        expect(Object.fromEntries(view.attributes)).toEqual(given.attributes);
        expect(view.data).toEqual(given.data);
      }),
    );
  });

  it('agree on which damaged bytes are no message, or the hand-written one is stricter', () => {
    fc.assert(
      fc.property(parts, fc.nat(), fc.nat(255), (given, at, byte) => {
        const encoded = toBinary(CloudEventSchema, generated(given));
        encoded[at % encoded.length] = byte;
        const mine = attempt(() => checkEvent(encoded).id !== '');
        const theirs = attempt(() => fromBinary(CloudEventSchema, encoded).id.length >= 0);
        expect(mine && !theirs).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the record codec and the generated code', () => {
  const count = fc.oneof(fc.nat(), fc.maxSafeNat());
  const revisions = { policyRevision: count, grantsRevision: count };
  const head = fc.record({
    tenant: text,
    topic: text,
    principal: text,
    originSite: text,
    destinations: fc.array(text.filter((site) => site !== ''), { maxLength: 3 }),
    transit: fc.boolean(),
    key: text,
    ingressTimeUs: count,
    expiryMs: count,
    originPartition: fc.nat(),
    originPosition: count,
    traceparent: text,
    hops: fc.array(fc.record({ site: text, timeUs: count, ...revisions }), { maxLength: 3 }),
  });

  it('agree in both directions', () => {
    fc.assert(
      fc.property(head, parts, (given, event) => {
        const encoded = encodeRecord(given, toBinary(CloudEventSchema, generated(event)));
        const theirs = fromBinary(RecordSchema, encoded);
        const { ingressTimeUs, expiryMs, originPosition, hops, ...same } = given;
        expect(theirs).toMatchObject({
          ...same,
          ingressTimeUs: BigInt(ingressTimeUs),
          expiryMs: BigInt(expiryMs),
          originPosition: BigInt(originPosition),
          hops: hops.map(({ site, timeUs, policyRevision, grantsRevision }) => ({
            site,
            timeUs: BigInt(timeUs),
            policyRevision: BigInt(policyRevision),
            grantsRevision: BigInt(grantsRevision),
          })),
        });
        expect(theirs.event).toEqual(generated(event));
        const back = decodeRecord(toBinary(RecordSchema, theirs));
        expect(back).toMatchObject(given);
        expect(new EventView(back.event).id).toBe(event.id);
      }),
    );
  });
});

function attempt(run: () => boolean): boolean {
  try {
    return run();
  } catch {
    return false;
  }
}
