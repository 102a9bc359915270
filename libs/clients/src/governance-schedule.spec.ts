import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compileCron } from './governance-schedule.ts';

const at = (iso: string): number => Date.parse(iso);
const iso = (ms: number | undefined): string =>
  ms === undefined ? 'never' : new Date(ms).toISOString().replace('.000Z', 'Z');

describe('a cron expression', () => {
  it.each([
    ['five fields', '30 8 * * 1-5', 'UTC', '2027-01-01T12:00:00Z', '2027-01-04T08:30:00Z'],
    ['six, with seconds', '*/10 * * * * *', 'UTC', '2027-01-01T00:00:01Z', '2027-01-01T00:00:10Z'],
    ['a time zone', '0 8 * * *', 'Asia/Tokyo', '2027-01-01T00:00:00Z', '2027-01-01T23:00:00Z'],
    ['the last day of a month', '0 0 L * *', 'UTC', '2027-02-01T00:00:00Z', '2027-02-28T00:00:00Z'],
    ['a leap day', '0 0 29 2 *', 'UTC', '2027-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['never', '0 0 31 2 *', 'UTC', '2027-01-01T00:00:00Z', 'never'],
    [
      'spring, when 02:30 is left out',
      '30 2 * * *',
      'Europe/Berlin',
      '2027-03-28T00:00:00Z',
      '2027-03-28T01:00:00Z',
    ],
    [
      'autumn, when 02:30 comes twice',
      '30 2 * * *',
      'Europe/Berlin',
      '2027-10-30T12:00:00Z',
      '2027-10-31T00:30:00Z',
    ],
    [
      'autumn, the second time',
      '30 2 * * *',
      'Europe/Berlin',
      '2027-10-31T00:30:00Z',
      '2027-11-01T01:30:00Z',
    ],
    [
      'each half hour through autumn',
      '*/30 * * * *',
      'Europe/Berlin',
      '2027-10-31T00:30:00Z',
      '2027-10-31T01:00:00Z',
    ],
  ])('knows when it is due: %s', (_, expression, zone, after, next) => {
    expect(iso(compileCron(expression, zone).next(at(after)))).toBe(next);
  });

  it.each([
    ['* * * *', 'UTC', 'cron', /has 4 fields; write 5, or 6/],
    ['* * * * * * *', 'UTC', 'cron', /has 7 fields/],
    ['@daily', 'UTC', 'cron', /has 1 fields/],
    ['61 * * * *', 'UTC', 'cron', /minute: 61/],
    ['a b c d e', 'UTC', 'cron', /illegal characters/],
    ['', 'UTC', 'cron', /fields/],
    [`${'1,'.repeat(200)}1 * * * *`, 'UTC', 'cron', /fields/],
    ['* * * * *', 'Mars/Base', 'time_zone', /not an IANA time zone/],
    ['* * * * *', '', 'time_zone', /not an IANA time zone/],
  ])('%j in %j is refused', (expression, zone, field, message) => {
    expect(() => compileCron(expression, zone, 'schedule.')).toThrow(
      expect.objectContaining({
        code: 'InvalidArgument',
        message: expect.stringMatching(message),
        details: expect.objectContaining({ field: `schedule.${field}` }),
      }),
    );
  });

  it('lists the latest times before one, which are those that follow from the first of them', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'];
    const crons = ['*/7 * * * *', '30 2 * * *', '0 0 1 * *', '*/20 * * * * *', '15 1-3 * * *'];
    const year = { min: at('2027-01-01T00:00:00Z'), max: at('2027-12-31T00:00:00Z') };
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...crons),
        fc.integer(year),
        (zone, expression, before) => {
          const times = compileCron(expression, zone);
          const latest = times.latest(before, 5);
          expect(latest).toHaveLength(5);
          expect(latest.at(-1)).toBeLessThan(before);
          const [first = 0] = latest;
          const onward: number[] = [first];
          for (let n = 1; n < 5; n++) onward.push(times.next(onward.at(-1) ?? 0) ?? 0);
          expect(latest).toEqual(onward);
          expect(times.next(latest.at(-1) ?? 0)).toBeGreaterThanOrEqual(before);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('warnings of changes of clock', () => {
  const from = at('2026-11-25T00:00:00Z');
  it.each([
    [
      '30 2 * * *',
      'Europe/Berlin',
      ['2027-03-28T02:30:00 does not exist', '2027-10-31T02:30:00 comes twice'],
    ],
    ['30 1 * * 0', 'America/New_York', ['2027-11-07T01:30:00 comes twice']],
    ['15 2 * * *', 'Australia/Lord_Howe', ['2027-10-03T02:15:00 does not exist']],
    ['0 12 * * *', 'Europe/Berlin', []],
    ['30 2 * * *', 'UTC', []],
    ['*/5 * * * *', 'Europe/Berlin', []],
  ])('%s in %s', (expression, zone, wanted) => {
    const warnings = compileCron(expression, zone).clockWarnings(from);
    expect(warnings.map((text) => text.slice(0, text.indexOf(' in ')))).toEqual(wanted);
  });
});
