import { describe, expect, it } from '@jest/globals';
import { EventView } from '@eventmesh/event';
import { encode, repeatable, type EventLike, type PublishOptions } from './event-input.ts';

const EVENT: EventLike = { id: '1', source: '/s', type: 't' };

const outcome = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
};

describe('an event to publish', () => {
  it.each<[string, PublishOptions, string]>([
    ['a date that is none', { deliverAt: new Date(Number.NaN) }, 'deliverAt'],
    ['a time before the epoch', { deliverAt: -1 }, 'deliverAt'],
    ['half a millisecond of delay', { deliverAfterMs: 1.5 }, 'deliverAfterMs'],
    ['a delay without end', { deliverAfterMs: Infinity }, 'deliverAfterMs'],
    ['half a millisecond of life', { expiresAfterMs: 1.5 }, 'expiresAfterMs'],
    ['a life beyond all numbers', { expiresAfterMs: 2 ** 53 }, 'expiresAfterMs'],
  ])('with %s is refused, naming the field and its bounds', (_, options, field) => {
    expect(outcome(() => encode('a', EVENT, options))).toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(field),
      details: { field, limit: '0 to 9007199254740991' },
    });
  });

  it('with an integer that CloudEvents does not have is refused, naming the attribute', () => {
    for (const n of [2 ** 32 + 5, -(2 ** 31) - 1, 0.5]) {
      const event = { ...EVENT, extensions: { n } };
      expect(outcome(() => encode('a', event, {}))).toMatchObject({
        code: 'InvalidArgument',
        details: { field: 'n', limit: '-2147483648 to 2147483647' },
      });
    }
  });

  it('keeps every integer of CloudEvents, and its times', () => {
    const event = { ...EVENT, extensions: { least: -(2 ** 31), most: 2 ** 31 - 1 } };
    const due = new Date('2027-01-01T00:00:00Z');
    const encoded = encode('a', event, { deliverAt: due, expiresAfterMs: 5 });
    const view = new EventView(encoded.event);
    expect([view.text('least'), view.text('most')]).toEqual(['-2147483648', '2147483647']);
    expect(encoded.deliverAtMs).toBe(BigInt(due.getTime()));
    expect(encoded.expiresAfterMs).toBe(5n);
  });

  it.each<[boolean, string, PublishOptions]>([
    [true, 'that says it is durable', { deliveryClass: 'durable' }],
    [true, 'for later', { deliverAfterMs: 1000 }],
    [true, 'for a time', { deliverAt: new Date(1_900_000_000_000) }],
    [false, 'of the direct class', { deliveryClass: 'direct' }],
    [false, 'whose class the catalogue says', {}],
    [false, 'whose class the catalogue says, for no later', { deliverAt: 0, deliverAfterMs: 0 }],
  ])('may be repeated (%s): one %s', (may, _, options) => {
    expect(repeatable(encode('a', EVENT, options))).toBe(may);
  });
});
