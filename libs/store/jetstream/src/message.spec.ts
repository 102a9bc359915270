import { describe, expect, it } from '@jest/globals';
import { NO_REVISIONS, encodeEvent, encodeRecord } from '@eventmesh/event';
import fc from 'fast-check';
import { encodeGroup } from './encode-group.ts';
import { decodeHeaders, joinRecord, markLine } from './message.ts';
import { commands } from './test/commands.ts';
import { subjectOf, topicOf } from './test/topic-subject.ts';

const HEAD = {
  tenant: 'default',
  topic: 'orders/eu',
  principal: 'alice',
  originSite: 'west',
  destinations: ['east'],
  ingressTimeUs: 1_700_000_000_000_000,
  hops: [{ site: 'west', timeUs: 1_700_000_000_000_000, ...NO_REVISIONS }],
};

const read = (headers: string) => (name: string) => {
  const line = headers.split('\r\n').find((each) => each.startsWith(`${name}: `));
  return line?.slice(name.length + 2) ?? '';
};

const BASE = 'ev.log.0';

/** What the server reads of a record that is sent alone. */
function message(bytes: Uint8Array, dedupKey: string) {
  const sending = [{ record: { bytes, dedupKey }, line: '' }];
  const frame = { sending, base: BASE, batchId: '', before: 0, reply: 'r' };
  const [command] = commands(encodeGroup(frame));
  const { line = '', headers = '', payload = Buffer.alloc(0) } = command ?? {};
  return { subject: line.split(' ')[1]?.slice(BASE.length + 1), headers, payload };
}

describe('a message', () => {
  it('is a CloudEvent of the NATS binding: attributes as ce- headers, data as payload', () => {
    const event = encodeEvent({
      id: 'id 1%',
      source: '/größe',
      type: 'com.example.order',
      attributes: [
        ['datacontenttype', { kind: 'string', value: 'application/json' }],
        ['time', { kind: 'timestamp', seconds: 1_700_000_000, nanos: 5_000_000 }],
        ['priority', { kind: 'integer', value: -3 }],
      ],
      data: { kind: 'text', bytes: Buffer.from('{"a":1}') },
    });
    const { subject, headers, payload } = message(encodeRecord(HEAD, event), 'key');
    expect(subject).toBe('default.orders.eu');
    expect(payload.toString()).toBe('{"a":1}');
    const lines = headers.split('\r\n').filter((line) => line.startsWith('ce-'));
    expect(lines).toEqual([
      'ce-specversion: 1.0',
      'ce-id: id%201%25',
      'ce-source: /gr%C3%B6%C3%9Fe',
      'ce-type: com.example.order',
      'ce-datacontenttype: application/json',
      'ce-time: 2023-11-14T22:13:20.005Z',
      'ce-priority: -3',
    ]);
  });

  it('has no header that a value could forge', () => {
    const forged = 'x\r\nNats-Expected-Last-Sequence: 1';
    const event = encodeEvent({ id: forged, source: forged, type: forged });
    const { headers } = message(encodeRecord(HEAD, event), forged);
    const lines = headers.replace('Nats-Expected-Last-Sequence: 0\r\n', '');
    expect(lines + markLine({ kind: 'sequence', id: forged, last: 1 })).not.toMatch(/^Nats-/m);
  });

  it('gives back the exact bytes of any record, and the key', () => {
    const record = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc
        .record({
          id: fc.string({ minLength: 1 }),
          data: fc.option(fc.uint8Array({ maxLength: 500 }), { nil: undefined }),
          suffix: fc.uint8Array({ maxLength: 3 }),
          topic: fc.string({ minLength: 1, maxLength: 200 }),
        })
        .map(({ id, data, topic }) => {
          const bytes =
            data === undefined ? {} : { data: { kind: 'binary', bytes: data } as const };
          const event = encodeEvent({ id, source: '/s', type: 't', ...bytes });
          return encodeRecord({ ...HEAD, topic }, event);
        }),
    );
    fc.assert(
      fc.property(record, fc.string({ maxLength: 300 }), (bytes, key) => {
        fc.pre(key.isWellFormed());
        const { headers, payload } = message(bytes, key);
        expect(headers).toMatch(/^[\x20-\x7e\r\n]*$/);
        const decoded = decodeHeaders(read(headers));
        expect(decoded.dedupKey).toBe(key);
        expect(joinRecord(decoded, payload).equals(bytes)).toBe(true);
      }),
    );
  });

  it('has no more header lines than the server takes, whatever an event has beside its data', () => {
    const large = fc.record({
      bytes: fc.constantFrom(10_000, 12_000, 20_000, 70_000, 500_000),
      char: fc.constantFrom('x', '%', 'ß'),
      data: fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined }),
      key: fc.constantFrom('', 'key', '€'.repeat(8192)),
    });
    fc.assert(
      fc.property(large, ({ bytes, char, data, key }) => {
        const value = char.repeat(bytes / Buffer.byteLength(char));
        const event = encodeEvent({
          id: '1',
          source: '/s',
          type: 't',
          attributes: [['note', { kind: 'string', value }]],
          ...(data === undefined ? {} : { data: { kind: 'binary', bytes: data } }),
        });
        const record = encodeRecord(HEAD, event);
        const { subject, headers, payload } = message(record, key);
        expect(subject).toBe('default.orders.eu');
        // The rest of 64 KiB is for the mark and the lines of a batch.
        expect(headers.length).toBeLessThan(61 * 1024);
        const decoded = decodeHeaders(read(headers));
        expect(decoded.dedupKey).toBe(key);
        expect(joinRecord(decoded, payload).equals(record)).toBe(true);
      }),
    );
  });

  it('lies below the subject of its tenant and topic, from which the topic can be read', () => {
    const topics = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      fc
        .array(fc.constantFrom('/', '%', '.', '*', '>', ' ', 'a', 'ß'), { minLength: 1 })
        .map((each) => each.join('')),
    );
    fc.assert(
      fc.property(topics, (topic) => {
        const bytes = encodeRecord(
          { ...HEAD, topic },
          encodeEvent({ id: '1', source: '/s', type: 't' }),
        );
        const { subject } = message(bytes, '');
        expect(subject).toBe(`default.${subjectOf(topic)}`);
        expect(topicOf(subject?.slice('default.'.length) ?? '')).toBe(topic);
      }),
    );
  });

  it('that the mesh did not write is DataLoss', () => {
    expect(() => decodeHeaders(() => '')).toThrow(expect.objectContaining({ code: 'DataLoss' }));
  });
});
