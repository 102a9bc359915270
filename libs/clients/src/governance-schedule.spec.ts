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
      { numRuns: 60 },
    );
  });

  it.each([
    ['0,30 2 * * *', '2027-03-28', ['01:00']],
    ['*/15 2 * * *', '2027-03-28', ['01:00']],
    ['0 2,4 * * *', '2027-03-28', ['01:00', '02:00']],
    ['0 2,3 * * *', '2027-03-28', ['01:00']],
    ['30 */2 * * *', '2027-03-28', ['01:00', '02:30']],
    ['30 * * * *', '2027-03-28', ['00:30', '01:30', '02:30', '03:30']],
    ['0,30 2 * * *', '2027-10-31', ['00:00', '00:30']],
    ['0 2-4 * * *', '2027-10-31', ['00:00', '02:00', '03:00']],
    ['15 1-3 * * *', '2027-10-31', ['00:15', '02:15']],
    ['30 */2 * * *', '2027-10-31', ['00:30', '03:30']],
    ['30 */1 * * *', '2027-10-31', ['00:30', '01:30', '02:30', '03:30']],
  ])('%s is due in Berlin on %s, between 00:00 and 03:59 UTC, at %j', (cron, day, wanted) => {
    const times = compileCron(cron, 'Europe/Berlin');
    const due: string[] = [];
    let last = at(`${day}T00:00:00Z`) - 1;
    for (;;) {
      last = times.next(last) ?? Infinity;
      if (last >= at(`${day}T04:00:00Z`)) break;
      due.push(iso(last).slice(11, 16));
    }
    expect(due).toEqual(wanted);
  });

  it('is due at each local time once, whatever is done to the clock', () => {
    fc.assert(
      fc.property(changeDays, patterns, ([zone, day], { cron, matches, hourly }) => {
        const fromMs = at(`${day}T00:00:00Z`) - 30 * HOUR_MS;
        const toMs = fromMs + 78 * HOUR_MS;
        const minutes = localMinutes(zone, fromMs, toMs);
        const { wanted, odd } = dueByTable(minutes, matches, hourly);
        const times = compileCron(cron, zone);
        const due: number[] = [];
        let last = times.next(fromMs - 1);
        for (; last !== undefined && last < toMs; last = times.next(last)) due.push(last);
        expect(due.map(iso)).toEqual(wanted.map(iso));
        expect(times.latest(toMs, due.length + 1, fromMs)).toEqual(due);
        expect(times.latest(toMs, due.length + 3).slice(3)).toEqual(due);
        const warned = times.clockWarnings(fromMs).some((text) => {
          const local = at(`${text.slice(0, 19)}Z`);
          return local >= (minutes[0]?.local ?? 0) && local <= (minutes.at(-1)?.local ?? 0);
        });
        expect(warned).toBe(!hourly && odd);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Days on which a clock is changed, and some on which none is. */
const changeDays = fc.constantFrom(
  ...Object.entries({
    'Europe/Berlin': ['2026-10-25', '2027-03-28', '2027-10-31', '2028-03-26', '2027-07-01'],
    'America/New_York': ['2026-11-01', '2027-03-14', '2027-11-07', '2028-03-12', '2027-12-31'],
    'Australia/Lord_Howe': ['2026-10-04', '2027-04-04', '2027-10-03', '2028-04-02', '2027-06-30'],
    'Asia/Kolkata': ['2027-03-28', '2028-02-29'],
  }).flatMap(([zone, days]) => days.map((day): [string, string] => [zone, day])),
);

const several = (max: number) => fc.uniqueArray(fc.nat(max), { minLength: 1, maxLength: 3 });
const steps = (count: number, step: number) =>
  Array.from({ length: Math.ceil(count / step) }, (_, n) => n * step);
const field = (count: number, nearby: number) =>
  fc.oneof(
    several(nearby).map((values) => ({ text: values.join(','), values })),
    fc.constantFrom(2, 3, 5).map((step) => ({ text: `*/${step}`, values: steps(count, step) })),
    fc.tuple(fc.nat(nearby), fc.nat(3)).map(([from, more]) => {
      const to = Math.min(count - 1, from + more);
      const values = Array.from({ length: to - from + 1 }, (_, n) => from + n);
      return { text: `${from}-${to}`, values };
    }),
    fc.constant({ text: '*', values: steps(count, 1) }),
  );

/** An expression, and what it says, told in another way. */
const patterns = fc
  .record({
    minute: field(60, 59),
    hour: field(24, 4),
    day: fc.option(fc.integer({ min: 0, max: 6 }), { freq: 3 }),
  })
  .map(({ minute, hour, day }) => ({
    cron: `${minute.text} ${hour.text} * * ${day ?? '*'}`,
    hourly: hour.text === '*',
    matches: (local: Date) =>
      minute.values.includes(local.getUTCMinutes()) &&
      hour.values.includes(local.getUTCHours()) &&
      (day === null || local.getUTCDay() === day),
  }));

interface LocalMinute {
  readonly ms: number;
  /** What the clocks show, as if that were UTC. */
  readonly local: number;
}

const tables = new Map<string, LocalMinute[]>();

/** What the clocks of a zone show at each minute. */
function localMinutes(timeZone: string, fromMs: number, toMs: number): LocalMinute[] {
  const key = `${timeZone} ${fromMs}`;
  const minutes = tables.get(key) ?? [];
  if (minutes.length > 0) return minutes;
  const style = { dateStyle: 'short', timeStyle: 'medium', timeZone } as const;
  const format = new Intl.DateTimeFormat('sv-SE', style);
  for (let ms = fromMs; ms < toMs; ms += MINUTE_MS) {
    minutes.push({ ms, local: at(`${format.format(ms).replace(' ', 'T')}Z`) });
  }
  tables.set(key, minutes);
  return minutes;
}

/** Also whether it names a local time that does not come, or comes twice. */
function dueByTable(
  minutes: readonly LocalMinute[],
  matches: (local: Date) => boolean,
  hourly: boolean,
): { readonly wanted: readonly number[]; readonly odd: boolean } {
  const shown = minutes.filter(({ local }) => matches(new Date(local)));
  const times = new Map<number, number>();
  for (const { local } of shown) times.set(local, (times.get(local) ?? 0) + 1);
  const due = new Set<number>();
  let odd = false;
  let next = 0;
  const last = minutes.at(-1)?.local ?? 0;
  for (let local = minutes[0]?.local ?? 0; local <= last; local += MINUTE_MS) {
    // The first moment at which the clocks show it, or have gone past it.
    while ((minutes[next]?.local ?? Infinity) < local) next++;
    if (!matches(new Date(local))) continue;
    due.add(minutes[next]?.ms ?? 0);
    odd ||= times.get(local) !== 1;
  }
  return { wanted: hourly ? shown.map(({ ms }) => ms) : [...due], odd };
}

describe('warnings of changes of clock', () => {
  const from = at('2026-11-25T00:00:00Z');
  it.each([
    [
      '30 */2 * * *',
      'Europe/Berlin',
      ['2027-03-28T02:30:00 does not exist', '2027-10-31T02:30:00 comes twice'],
    ],
    ['0,30 0-23 * * *', 'Europe/Berlin', []],
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
