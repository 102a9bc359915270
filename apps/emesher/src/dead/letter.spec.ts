import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  EventView,
  NO_HANDLING,
  NO_REVISIONS,
  decodeRecord,
  encodeEvent,
  encodeRecord,
} from '@eventmesh/event';
import { REDRIVES, decodeLetter, encodeLetter, encodeRedriven, type Dead } from './letter.ts';

const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
const event = fc
  .record({
    id: text,
    source: text,
    type: text,
    key: fc.string({ unit: 'grapheme-ascii', maxLength: 8 }),
    count: fc.integer({ min: -5, max: 5 }),
    bytes: fc.option(fc.uint8Array({ maxLength: 64 }), { nil: undefined }),
  })
  .map(({ id, source, type, key, count, bytes }) =>
    encodeEvent({
      id,
      source,
      type,
      attributes: [
        ['partitionkey', { kind: 'string', value: key }],
        ['count', { kind: 'integer', value: count }],
      ],
      ...(bytes === undefined ? {} : { data: { kind: 'binary', bytes } }),
    }),
  );

function dead(bytes: Uint8Array, more: Partial<Dead> = {}): Dead {
  const head = {
    tenant: 't',
    topic: 'orders/eu',
    principal: 'shop',
    originSite: 'west',
    key: 'k',
    destinations: ['east'],
    ingressTimeUs: 1_000_001,
    expiryMs: 99,
    traceparent: 'tp',
    hops: [{ site: 'west', timeUs: 7, ...NO_REVISIONS }],
    handling: { ...NO_HANDLING, policyRevision: 3, grantsRevision: 4 },
  };
  return {
    subscription: 'billing',
    subscriptionCreatedMs: 1_690_000_000_007,
    cause: 'no such customer',
    attempts: 16,
    partition: 2,
    position: 5_000_000_000,
    policyRevision: 12,
    deadMs: 1_700_000_000_123,
    record: decodeRecord(encodeRecord(head, bytes)),
    ...more,
  };
}

describe('a dead letter', () => {
  it('keeps the original event byte for byte, and everything that is known of its death', () => {
    fc.assert(
      fc.property(event, (bytes) => {
        const { letter, record } = decodeLetter(7, encodeLetter('a/b', dead(bytes)));
        expect(Buffer.from(letter.event).equals(bytes)).toBe(true);
        expect(letter).toMatchObject({
          id: 7,
          subscription: 'billing',
          subscriptionCreatedMs: 1_690_000_000_007,
          cause: 'no such customer',
          attempts: 16,
          partition: 2,
          position: 5_000_000_000,
          policyRevision: 12,
          redrives: 0,
          deadMs: 1_700_000_000_123,
          topic: 'orders/eu',
          eventId: new EventView(bytes).id,
        });
        expect(record).toMatchObject({ key: 'k', ingressTimeUs: 1_000_001, principal: 'shop' });
        // Any reader of CloudEvents sees the original attributes and what was attached.
        const view = new EventView(record.event);
        expect(view.text('count')).toBe(new EventView(bytes).text('count'));
        expect(view.text('meshdeadposition')).toBe('a/b/2/5000000000');
        expect(view.text('meshdeadtime')).toBe('2023-11-14T22:13:20.123Z');
      }),
    );
  });

  it('is given back as the original with the count of redrives, for its subscription alone', () => {
    fc.assert(
      fc.property(event, (bytes) => {
        const stored = decodeLetter(7, encodeLetter('w', dead(bytes)));
        const back = decodeRecord(encodeRedriven(stored));
        expect(back).toMatchObject({
          topic: 'orders/eu',
          key: 'k',
          ingressTimeUs: 1_000_001,
          expiryMs: 0,
          destinations: [],
          traceparent: 'tp',
          hops: [{ site: 'west', timeUs: 7, ...NO_REVISIONS }],
          handling: { policyRevision: 3, grantsRevision: 4, onlySubscription: 'billing' },
        });
        expect(back.event.subarray(0, bytes.length).equals(bytes)).toBe(true);
        expect(new EventView(back.event).attributes.get(REDRIVES)).toEqual({
          kind: 'integer',
          value: 1,
        });
      }),
    );
  });

  it('that dies again and again keeps the original bytes and counts on', () => {
    fc.assert(
      fc.property(event, fc.integer({ min: 1, max: 140 }), (bytes, times) => {
        let stored = decodeLetter(1, encodeLetter('w', dead(bytes)));
        for (let n = 1; n <= times; n++) {
          const record = decodeRecord(encodeRedriven(stored));
          stored = decodeLetter(n, encodeLetter('w', dead(bytes, { record })));
          expect(stored.letter.redrives).toBe(n);
        }
        expect(Buffer.from(stored.letter.event).equals(bytes)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    ['', 'rejected'],
    ['tab\there\0', 'tab here '],
    ['\ud800 alone', '\ufffd alone'],
    [`${'x'.repeat(255)}😀`, `${'x'.repeat(255)}\ufffd`],
    ['y'.repeat(5000), 'y'.repeat(256)],
  ])('has a cause that CloudEvents allows, whatever the consumer says: %j', (cause, kept) => {
    const bytes = encodeEvent({ id: '1', source: '/s', type: 't' });
    expect(decodeLetter(1, encodeLetter('w', dead(bytes, { cause }))).letter.cause).toBe(kept);
  });
});
