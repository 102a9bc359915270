import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import {
  NO_HANDLING,
  RecordEncoder,
  RecordSpans,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  type RecordHead,
  type Span,
} from './index.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const count = fc.oneof(fc.nat(), fc.maxSafeNat());
const revisions = { policyRevision: count, grantsRevision: count };
const head: fc.Arbitrary<Required<RecordHead>> = fc.record({
  tenant: text,
  topic: text,
  principal: text,
  originSite: text,
  destinations: fc.array(
    text.filter((site) => site !== ''),
    { maxLength: 4 },
  ),
  transit: fc.boolean(),
  key: text,
  ingressTimeUs: count,
  expiryMs: count,
  originPartition: fc.nat(),
  originPosition: count,
  traceparent: text,
  hops: fc.array(fc.record({ site: text, timeUs: count, ...revisions }), { maxLength: 4 }),
  handling: fc.record({
    ...revisions,
    onlySubscription: text,
    deliverAtMs: count,
    latePolicy: fc.nat(3),
  }),
});
const parts = fc.record({
  id: text,
  source: text,
  type: text,
  attributes: fc.uniqueArray(
    fc.tuple(
      fc.stringMatching(/^[a-z]{1,5}$/),
      fc.record({ kind: fc.constant('string' as const), value: text }),
    ),
    { maxLength: 4, selector: ([name]) => name },
  ),
  data: fc.record({
    kind: fc.constant('binary' as const),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }).map((given) => Buffer.from(given)),
  }),
});
const KNOWN = {
  tenant: 'tenant',
  topic: 'a/topic',
  principal: 'p',
  originSite: 'west',
  destinations: [],
  ingressTimeUs: 1,
  hops: [],
  handling: { ...NO_HANDLING, grantsRevision: 7 },
};
/** As decodeRecord, of a record that begins as no other one: with a field that nobody knows. */
const alone = (encoded: Buffer) =>
  decodeRecord(Buffer.concat([Buffer.from([0x80, 1, 1]), encoded]));
const bytes = fc.uint8Array({ maxLength: 300 }).map((given) => Buffer.from(given));

describe('records', () => {
  it('come back as they were encoded', () => {
    fc.assert(
      fc.property(head, bytes, (given, event) => {
        const encoded = encodeRecord(given, event);
        expect(decodeRecord(encoded)).toEqual({ ...given, event });
      }),
    );
  });

  it('say the same whatever was read before them, also pieces in any order', () => {
    const record = fc.record({ from: fc.nat(2), changes: head, event: bytes });
    fc.assert(
      fc.property(
        fc.array(head, { minLength: 3, maxLength: 3 }),
        fc.array(fc.array(record, { minLength: 1, maxLength: 3 }), { maxLength: 12 }),
        (publishers, drawn) => {
          // Protobuf messages put together are one message again: fields repeat, and come anyhow.
          const all = drawn.map((pieces) =>
            Buffer.concat(
              pieces.map(({ from, changes, event }) =>
                new RecordEncoder(publishers[from] ?? changes).encode(changes, event),
              ),
            ),
          );
          // What comes twice is known the third time.
          for (let times = 0; times < 3; times++) {
            expect(all.map((each) => decodeRecord(each))).toEqual(all.map(alone));
          }
        },
      ),
    );
  });

  it('that begin nearly as those before are read for themselves, byte by byte', () => {
    const whole = encodeRecord(KNOWN, Buffer.from('event'));
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      for (let times = 0; times < 3; times++) decodeRecord(whole);
      expect(outcome(() => decodeRecord(changed))).toEqual(outcome(() => alone(changed)));
    }
  });

  it('that begin with what cannot be read leave nothing behind', () => {
    const broken = Buffer.from([0x0a, 0x01, 0x61, 0x12, 0x05]);
    for (let times = 0; times < 3; times++) {
      expect(outcome(() => decodeRecord(broken))).toBeInstanceOf(MeshError);
      expect(decodeRecord(broken.subarray(0, 3))).toMatchObject({ topic: 'a', tenant: '' });
    }
  });

  it('show where their parts lie without decoding them', () => {
    const spans = new RecordSpans();
    fc.assert(
      fc.property(head, parts, (given, event) => {
        const encoded = encodeRecord(given, encodeEvent(event));
        spans.read(encoded);
        const at = ({ start, end }: Span) => encoded.toString('utf8', start, end);
        expect(at(spans.tenant)).toBe(given.tenant);
        expect(at(spans.topic)).toBe(given.topic);
        expect([spans.id, spans.source, spans.type].map(at)).toEqual([
          event.id,
          event.source,
          event.type,
        ]);
        expect(at(spans.specVersion)).toBe('1.0');
        expect(spans.entryCount).toBe(event.attributes.length);
        expect(encoded.subarray(spans.data.start, spans.data.end)).toEqual(event.data.bytes);
      }),
    );
  });

  it('are the same from a shared encoder as one by one', () => {
    fc.assert(
      fc.property(head, fc.array(bytes, { maxLength: 4 }), (given, events) => {
        const encoder = new RecordEncoder(given);
        for (const event of events) {
          expect(encoder.encode(given, event)).toEqual(encodeRecord(given, event));
        }
      }),
    );
  });

  it('are refused or read at every truncation, never with half an event', () => {
    fc.assert(
      fc.property(head, bytes, (given, event) => {
        const whole = encodeRecord(given, event);
        for (let end = 0; end < whole.length; end++) {
          const read = outcome(() => decodeRecord(whole.subarray(0, end)));
          if (!(read instanceof MeshError)) expect(read.event.length).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('survive random damage', () => {
    fc.assert(
      fc.property(
        head,
        bytes,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (given, event, damage) => {
          const whole = encodeRecord(given, event);
          for (const [at, byte] of damage) whole[at % whole.length] = byte;
          outcome(() => decodeRecord(whole));
        },
      ),
    );
  });

  it.each<[string, number[]]>([
    ['a length beyond the record', [0x0a, 0x05, 0x61]],
    ['an absurd length', [0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a negative time', [0x40, ...Array<number>(9).fill(0xff), 0x01]],
    ['field number 0', [0x02, 0x00]],
    ['a hop that reads past its end', [0x6a, 0x01, 0x10, 0x05]],
    ['a topic that is not UTF-8', [0x0a, 0x01, 0xff]],
  ])('refuse %s', (_, hostile) => {
    expect(outcome(() => decodeRecord(Buffer.from(hostile)))).toBeInstanceOf(MeshError);
  });

  it('ignore a known field number with another wire type, as protobuf does', () => {
    expect(decodeRecord(Buffer.from([0x08, 0x01, 0x12, 0x01, 0x74])).tenant).toBe('t');
  });

  it('read a hundred thousand destinations in linear time', () => {
    const many = Array.from({ length: 100_000 }, (_, n) => `s${n}`);
    const given = { tenant: 't', topic: 't', principal: 'p', originSite: 'o', destinations: many };
    const whole = encodeRecord({ ...given, ingressTimeUs: 1, hops: [] }, Buffer.alloc(0));
    expect(decodeRecord(whole).destinations).toHaveLength(100_000);
  }, 5000);
});

function outcome<T>(run: () => T): T | MeshError {
  try {
    return run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
}
