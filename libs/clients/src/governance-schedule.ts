import { MeshError, invalid } from '@eventmesh/errors';
import { Cron } from 'croner';
import { ZoneClock, type ClockChange } from './governance-clock.ts';

/** When a schedule comes due. All times are ms since the epoch. */
export interface CronTimes {
  /** The first time after this one; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The latest times before this one and, when it is given, not before `fromMs`; ascending. */
  latest(beforeMs: number, max: number, fromMs?: number): number[];
  /** Times of the coming year that a change of clock moves or repeats, in words. */
  clockWarnings(fromMs: number): string[];
}

const EXPRESSION_LENGTH_MAX = 256;
const YEAR_MS = 366 * 86_400_000;
const WARNINGS_MAX = 10;
/** Most local times that are looked for at once when going back. */
const BACK_MAX = 100;
/** No clock was ever turned by more, in ms. */
const TURN_MS_MAX = 86_400_000;
/** The field of the hours when it is due in each. */
const EACH_HOUR = /^(?:[*?]|0-23)(?:\/1)?$/;

/**
 * A cron expression of five fields (minute, hour, day of month, month, day of week) or of six, with
 * seconds before them, in an IANA time zone. A local time that a change of clock leaves out comes due
 * right after the change; one that comes twice is due at the first. What is due in each hour of the
 * day takes the hours as they come.
 *
 * @throws MeshError InvalidArgument that names `cron` or `time_zone`.
 */
export function compileCron(expression: string, timeZone: string, field = ''): CronTimes {
  const fields = expression.trim().split(/\s+/);
  if (expression.length > EXPRESSION_LENGTH_MAX || fields.length < 5 || fields.length > 6) {
    throw invalid(`${field}cron`, `has ${fields.length} fields; write 5, or 6 with seconds first`, {
      limit: `5 or 6 fields, ${EXPRESSION_LENGTH_MAX} characters`,
    });
  }
  const clock = zoneClock(timeZone, `${field}time_zone`);
  const hourly = EACH_HOUR.test(fields.at(-4) ?? '');
  return new ZonedTimes(localTimes(expression, `${field}cron`), clock, timeZone, hourly);
}

/** The times of an expression as if local time were UTC. */
interface LocalTimes {
  /** The first one that is not before. */
  from(ms: number): number | undefined;
  /** Those before, latest first. */
  before(ms: number): Generator<number>;
}

function localTimes(expression: string, field: string): LocalTimes {
  const cron = attempt(() => new Cron(expression, { timezone: 'UTC', paused: true }), field);
  return {
    from: (ms) => cron.nextRun(new Date(ms - 1))?.getTime(),
    *before(ms) {
      let end = ms;
      for (let count = 1; ; count = Math.min(BACK_MAX, 2 * count)) {
        const times = cron.previousRuns(count, new Date(end)).map((date) => date.getTime());
        times.sort((a, b) => b - a);
        yield* times;
        end = times.at(-1) ?? -Infinity;
        if (times.length < count) return;
      }
    },
  };
}

/**
 * Between two changes of clock, local and real time differ by a constant. Behind a change local time
 * goes on where it was before it: a part of it that is left out falls on the change itself, and one
 * that comes again is over. For what is due in each hour it goes on where the clock now is.
 */
class ZonedTimes implements CronTimes {
  readonly #local: LocalTimes;
  readonly #clock: ZoneClock;
  readonly #zone: string;
  readonly #hourly: boolean;

  constructor(local: LocalTimes, clock: ZoneClock, zone: string, hourly: boolean) {
    this.#local = local;
    this.#clock = clock;
    this.#zone = zone;
    this.#hourly = hourly;
  }

  next(afterMs: number): number | undefined {
    let fromMs = Math.floor(afterMs) + 1;
    let change = this.#clock.previousChange(fromMs, fromMs - TURN_MS_MAX);
    let offset = this.#clock.offset(fromMs);
    const begin = this.#begin(change);
    let low = fromMs === change?.atMs ? begin : Math.max(fromMs + offset, begin);
    let local = this.#local.from(low);
    while (local !== undefined) {
      const dueMs = Math.max(local - offset, change?.atMs ?? -Infinity);
      const next = this.#clock.nextChange(fromMs, dueMs);
      if (next === undefined) return dueMs;
      change = next;
      offset = next.after;
      fromMs = next.atMs;
      const again = this.#begin(next);
      // Between where was looked from and what was found there is nothing else.
      if (again >= low && again <= local) continue;
      low = again;
      local = this.#local.from(low);
    }
    return undefined;
  }

  latest(beforeMs: number, max: number, fromMs = -Infinity): number[] {
    const found: number[] = [];
    let end: number | undefined = Math.ceil(beforeMs);
    while (end !== undefined) end = this.#back(end, { max, fromMs, found });
    return found.reverse();
  }

  /** Goes back to the change of clock before `endMs`; answers when that was, if there is more to find. */
  #back(
    endMs: number,
    { max, fromMs, found }: { readonly max: number; readonly fromMs: number; found: number[] },
  ): number | undefined {
    const offset = this.#clock.offset(endMs - 1);
    let change: ClockChange | undefined;
    let looked = endMs - 1;
    for (const local of this.#local.before(endMs + offset)) {
      const down = local - offset - TURN_MS_MAX;
      if (change === undefined && down < looked) {
        change = this.#clock.previousChange(looked, Math.max(down, fromMs - TURN_MS_MAX));
        looked = down;
      }
      if (local < this.#begin(change)) return change?.atMs;
      const dueMs = Math.max(local - offset, change?.atMs ?? -Infinity);
      if (dueMs < fromMs || found.length === max) return undefined;
      if (found.at(-1) !== dueMs) found.push(dueMs);
    }
    return change?.atMs;
  }

  clockWarnings(fromMs: number): string[] {
    const warnings: string[] = [];
    if (this.#hourly) return warnings;
    const endMs = fromMs + YEAR_MS;
    let change = this.#clock.nextChange(fromMs, endMs);
    while (change !== undefined && warnings.length < WARNINGS_MAX) {
      const { atMs, before, after } = change;
      const local = this.#local.from(atMs + Math.min(before, after));
      if (local !== undefined && local < atMs + Math.max(before, after)) {
        warnings.push(this.#warning(local, change));
      }
      change = this.#clock.nextChange(atMs, endMs);
    }
    return warnings;
  }

  #warning(local: number, { atMs, before, after }: ClockChange): string {
    const text = new Date(local).toISOString().slice(0, 19);
    const due = new Date(Math.min(atMs, local - before)).toISOString();
    return after > before
      ? `${text} does not exist in ${this.#zone}: due ${due}, right after the change of clock`
      : `${text} comes twice in ${this.#zone}: due once, ${due}`;
  }

  /** Local times before it belong to before the change. */
  #begin(change: ClockChange | undefined): number {
    if (change === undefined) return -Infinity;
    return change.atMs + (this.#hourly ? change.after : change.before);
  }
}

function zoneClock(timeZone: string, field: string): ZoneClock {
  try {
    return new ZoneClock(timeZone);
  } catch (error) {
    throw new MeshError(
      'InvalidArgument',
      `${field}: "${timeZone.slice(0, 64)}" is not an IANA time zone such as Europe/Berlin`,
      { field },
      error,
    );
  }
}

function attempt(make: () => Cron, field: string): Cron {
  try {
    return make();
  } catch (error) {
    const text = (error as Error).message.replace(/^CronPattern: /, '');
    throw new MeshError('InvalidArgument', `${field}: ${text}`, { field }, error);
  }
}
