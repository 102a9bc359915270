import { describe, expect, it } from '@jest/globals';
import { EventView, encodeEvent, parseTimestamp, type AttributeValue } from '@eventmesh/event';
import { dueTime, expiry, tellExpiry } from './times.ts';

const NOW = Date.parse('2027-01-01T00:00:00Z');
const YEAR = 366 * 86_400_000;

function eventWith(attributes: Readonly<Record<string, string | AttributeValue>>): EventView {
  const entries = Object.entries(attributes).map(([name, value]): [string, AttributeValue] => [
    name,
    typeof value === 'string' ? { kind: 'string', value } : value,
  ]);
  return new EventView(encodeEvent({ id: '1', source: '/s', type: 't', attributes: entries }));
}

const item = (options: object) => ({ topic: 'a', event: new Uint8Array(), ...options });
const refused = (field: string) =>
  expect.objectContaining({ details: expect.objectContaining({ field }) });

describe('when an event is due', () => {
  it.each<[string, Record<string, string | AttributeValue>, object, number]>([
    ['without a wish', {}, {}, 0],
    ['at a time', {}, { deliverAtMs: NOW + 5 }, NOW + 5],
    ['after a delay', {}, { deliverAfterMs: 5 }, NOW + 5],
    ['now', {}, { deliverAtMs: NOW }, 0],
    ['in the past', {}, { deliverAtMs: 1 }, 0],
    ['as its attribute says', { delivertime: '2027-01-01T01:00:00+01:00' }, {}, 0],
    ['as a later attribute says', { delivertime: '2027-01-01T00:00:01Z' }, {}, NOW + 1000],
    [
      'as an attribute of the timestamp type says',
      { delivertime: parseTimestamp('2027-01-01T00:00:02Z', 'x') },
      {},
      NOW + 2000,
    ],
    [
      'with an option before the attribute',
      { delivertime: 'junk' },
      { deliverAfterMs: 5 },
      NOW + 5,
    ],
    ['a year ahead', {}, { deliverAfterMs: YEAR }, NOW + YEAR],
  ])('%s', (_, attributes, options, due) => {
    expect(dueTime(eventWith(attributes), item(options), NOW)).toBe(due);
  });

  it.each<[string, Record<string, string | AttributeValue>, object, number]>([
    ['when it names no time', {}, {}, 0],
    ['in the past', {}, { deliverAtMs: 1 }, NOW],
    ['in 1970, by its attribute', { delivertime: '1970-01-01T00:00:00Z' }, {}, NOW],
    ['later', {}, { deliverAtMs: NOW + 5 }, NOW + 5],
  ])('among those that wait, when a producer numbers it: %s', (_, attributes, options, due) => {
    expect(dueTime(eventWith(attributes), item(options), NOW, true)).toBe(due);
  });

  it.each<[string, Record<string, string>, object, string]>([
    ['both options', {}, { deliverAtMs: 1, deliverAfterMs: 1 }, 'deliverAfterMs'],
    ['a negative time', {}, { deliverAtMs: -1 }, 'deliverAtMs'],
    ['a delay that is no number', {}, { deliverAfterMs: Number.NaN }, 'deliverAfterMs'],
    ['more than a year', {}, { deliverAtMs: NOW + YEAR + 1 }, 'deliverAtMs'],
    ['a delay of more than a year', {}, { deliverAfterMs: YEAR + 1 }, 'deliverAfterMs'],
    ['an attribute too far ahead', { delivertime: '2030-01-01T00:00:00Z' }, {}, 'delivertime'],
    ['an attribute that is no time', { delivertime: 'soon' }, {}, 'delivertime'],
  ])('is refused with %s', (_, attributes, options, field) => {
    expect(() => dueTime(eventWith(attributes), item(options), NOW)).toThrow(refused(field));
  });
});

describe('when an event ends', () => {
  it.each<[string, Record<string, string>, object, number, number, number?]>([
    ['never', {}, {}, 0, 0],
    ['so long after now', {}, { expiresAfterMs: 10 }, 0, NOW + 10],
    ['so long after it is due', {}, { expiresAfterMs: 10 }, NOW + 100, NOW + 110],
    ['at a time', { expirytime: '2027-01-01T00:00:01Z' }, {}, 0, NOW + 1000],
    [
      'at the earlier of both',
      { expirytime: '2027-01-01T00:00:01Z' },
      { expiresAfterMs: 5 },
      0,
      NOW + 5,
    ],
    ['in 1970', { expirytime: '1970-01-01T00:00:00Z' }, {}, 0, 1],
    ['in 1969', { expirytime: '1969-12-31T23:59:59Z' }, { expiresAfterMs: 5 }, 0, 1],
    [
      'in the past, when it is due at once',
      { expirytime: '2026-01-01T00:00:00Z' },
      {},
      NOW,
      Date.parse('2026-01-01T00:00:00Z'),
    ],
    ['with the retention', {}, {}, 0, NOW + 7, 7],
    ['with the retention after it is due', {}, {}, NOW + 100, NOW + 107, 7],
    ['earlier than the retention', {}, { expiresAfterMs: 5 }, 0, NOW + 5, 7],
    [
      'with the retention, not at a later time',
      { expirytime: '2027-01-01T00:00:01Z' },
      {},
      0,
      NOW + 7,
      7,
    ],
  ])('%s', (_, attributes, options, due, end, kept = 0) => {
    expect(expiry(eventWith(attributes), item(options), NOW, due, kept)).toBe(end);
  });

  it('is told to consumers when the publisher has named its life, and else left as it is', () => {
    const told = (attributes: Record<string, string>, options: object) => {
      const event = eventWith(attributes);
      const end = expiry(event, item(options), NOW, 0, 0);
      const as = tellExpiry(event, item(options), end);
      expect([as.id, as.source, as.data]).toEqual([event.id, event.source, event.data]);
      expect(as === event).toBe(!('expiresAfterMs' in options));
      return as.text('expirytime');
    };
    expect(told({}, { expiresAfterMs: 1250 })).toBe('2027-01-01T00:00:01.250Z');
    expect(told({ expirytime: '2028-01-01T00:00:00Z' }, { expiresAfterMs: 1000 })).toBe(
      '2027-01-01T00:00:01Z',
    );
    expect(told({ expirytime: '2028-01-01T00:00:00Z' }, {})).toBe('2028-01-01T00:00:00Z');
    expect(told({}, {})).toBeUndefined();
  });

  it('is refused before it is due', () => {
    const event = eventWith({ expirytime: '2027-01-01T00:00:01Z' });
    expect(() => expiry(event, item({}), NOW, NOW + 1000, 0)).toThrow(refused('expirytime'));
  });
});
