import { describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import fc from 'fast-check';
import { decodeHeaders, encodeMessage, joinRecord, markLine } from './message.ts';

const HEAD = {
  tenant: 'default',
  topic: 'orders/eu',
  principal: 'alice',
  originSite: 'west',
  destinations: ['east'],
  ingressTimeUs: 1_700_000_000_000_000,
  hops: [{ site: 'west', timeUs: 1_700_000_000_000_000 }],
};

const read = (headers: string) => (name: string) => {
  const line = headers.split('\r\n').find((each) => each.startsWith(`${name}: `));
  return line?.slice(name.length + 2) ?? '';
};

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
    const message = encodeMessage(encodeRecord(HEAD, event), 'key');
    expect(message.subject).toBe('default.orders.eu');
    expect(Buffer.from(message.payload).toString()).toBe('{"a":1}');
    const lines = message.headers.split('\r\n').filter((line) => line.startsWith('ce-'));
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
    const { headers } = encodeMessage(encodeRecord(HEAD, event), forged);
    expect(headers + markLine({ kind: 'sequence', id: forged, last: 1 })).not.toMatch(/^Nats-/m);
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
        const message = encodeMessage(bytes, key);
        expect(message.headers).toMatch(/^[\x20-\x7e\r\n]*$/);
        const decoded = decodeHeaders(read(message.headers));
        expect(decoded.dedupKey).toBe(key);
        expect(joinRecord(decoded, message.payload).equals(bytes)).toBe(true);
      }),
    );
  });

  it('that the mesh did not write is DataLoss', () => {
    expect(() => decodeHeaders(() => '')).toThrow(expect.objectContaining({ code: 'DataLoss' }));
  });
});
