import { describe, expect, it } from '@jest/globals';
import { checkReplay } from './replay.ts';
import { startFromText, timeFromText } from './start-text.ts';

describe('a start as text', () => {
  it.each([
    ['latest', { kind: 'latest' }],
    ['earliest', { kind: 'earliest' }],
    ['0:42', { kind: 'position', partition: 0, position: 42 }],
    ['1970-01-01T00:00:01Z', { kind: 'time', timeMs: 1000 }],
    ['1970-01-01T01:00:01.5+01:00', { kind: 'time', timeMs: 1500 }],
    ['1970-01-02', { kind: 'time', timeMs: 86_400_000 }],
    ['1970-01-01 00:02Z', { kind: 'time', timeMs: 120_000 }],
    ['after:/orders 42', { kind: 'after', source: '/orders', id: '42' }],
    [
      'after:urn:a#b an id with blanks',
      { kind: 'after', source: 'urn:a#b', id: 'an id with blanks' },
    ],
  ])('%s', (text, start) => {
    expect(startFromText(text, 'from')).toEqual(start);
  });

  it.each([
    '',
    'yesterday',
    '0:',
    ':1',
    'after:',
    'after:/orders',
    'after: 42',
    '1700000000',
    '1.5',
  ])('refuses "%s", naming the field and what would do', (text) => {
    expect(() => startFromText(text, 'replayFrom')).toThrow(
      /^replayFrom: .*latest, earliest, a time or partition:position/,
    );
  });

  it.each([
    ['2026-02-30T00:00:00Z', /not an RFC 3339 timestamp/],
    ['2026-02-30', /not an RFC 3339 timestamp/],
    ['2026-13-01', /not an RFC 3339 timestamp/],
    ['2026-05-01T24:00:00Z', /not an RFC 3339 timestamp/],
    ['2026-05-01T12:00:00', /has no zone; add Z/],
    ['2026-05-01 12:00', /has no zone; add Z/],
  ])('refuses "%s", which is no moment', (text, message) => {
    expect(() => startFromText(text, 'replayFrom')).toThrow(message);
    expect(() => startFromText(text, 'replayFrom')).toThrow(/^replayFrom: /);
  });

  it('a time alone is no other start', () => {
    expect(timeFromText('1970-01-01T00:00:02Z', 'to')).toBe(2000);
    expect(() => timeFromText('latest', 'to')).toThrow(/^to: "latest" is not a time/);
  });
});

describe('the options of a replay', () => {
  const options = { from: { kind: 'earliest' }, toMs: 0, rateMax: 0, expired: false } as const;

  it.each([
    ['replay.rateMax', { rateMax: 1_000_001 }],
    ['replay.rateMax', { rateMax: -1 }],
    ['replay.rateMax', { rateMax: 0.5 }],
    ['replay.toMs', { toMs: -1 }],
    ['replay.toMs', { toMs: Number.NaN }],
    ['start.position', { from: { kind: 'position', partition: 0, position: -1 } }],
  ] as const)('names %s when it is out of bounds', (field, change) => {
    expect(() => checkReplay({ ...options, ...change })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ field }) }),
    );
    expect(checkReplay(options)).toBe(options);
  });
});
