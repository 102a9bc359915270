import { MeshError, invalid } from '@eventmesh/errors';
import { Cron } from 'croner';

/** When a schedule comes due. All times are ms since the epoch. */
export interface CronTimes {
  /** The first time after this one; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The latest times before this one, ascending. */
  latest(beforeMs: number, max: number): number[];
  /** Times of the coming year that a change of clock moves or repeats, in words. */
  clockWarnings(fromMs: number): string[];
}

const EXPRESSION_LENGTH_MAX = 256;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const YEAR_DAYS = 366;
const WARNINGS_MAX = 10;

/**
 * A cron expression of five fields (minute, hour, day of month, month, day of week) or of six, with
 * seconds before them, in an IANA time zone. A local time that a change of clock leaves out comes due
 * right after the change; one that comes twice is due at the first.
 *
 * @throws MeshError InvalidArgument that names `cron` or `time_zone`.
 */
export function compileCron(expression: string, timeZone: string, field = ''): CronTimes {
  const fields = expression.trim().split(/\s+/).length;
  if (expression.length > EXPRESSION_LENGTH_MAX || fields < 5 || fields > 6) {
    throw invalid(`${field}cron`, `has ${fields} fields; write 5, or 6 with seconds first`, {
      limit: `5 or 6 fields, ${EXPRESSION_LENGTH_MAX} characters`,
    });
  }
  checkTimeZone(timeZone, `${field}time_zone`);
  const inZone = (zone: string) => new Cron(expression, { timezone: zone, paused: true });
  const cron = attempt(() => inZone(timeZone), `${field}cron`);
  const next = (afterMs: number) => cron.nextRun(new Date(afterMs))?.getTime();
  // What is due in each hour of the day takes the hours as they come.
  const hourly = expression.trim().split(/\s+/).at(-4)?.startsWith('*') === true;
  return {
    next,
    latest: (beforeMs, max) =>
      cron
        .previousRuns(max, new Date(beforeMs))
        .map((date) => date.getTime())
        .sort((a, b) => a - b),
    clockWarnings: (fromMs) => (hourly ? [] : clockWarnings(inZone('UTC'), next, timeZone, fromMs)),
  };
}

function checkTimeZone(timeZone: string, field: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
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

/** @param local the same expression, as if local time were UTC */
function clockWarnings(
  local: Cron,
  next: (afterMs: number) => number | undefined,
  timeZone: string,
  fromMs: number,
): string[] {
  const offset = offsetIn(timeZone);
  const warnings: string[] = [];
  for (let day = 0; day < YEAR_DAYS && warnings.length < WARNINGS_MAX; day++) {
    const startMs = fromMs + day * DAY_MS;
    const before = offset(startMs);
    if (before === offset(startMs + DAY_MS)) continue;
    const changeMs = changeWithin(offset, startMs, startMs + DAY_MS);
    const after = offset(changeMs);
    // Local times that do not exist, or exist twice.
    const gone = changeMs + Math.min(before, after);
    const end = changeMs + Math.max(before, after);
    const affected = local.nextRun(new Date(gone - 1))?.getTime() ?? Infinity;
    if (affected >= end) continue;
    const due = next(changeMs - 1 - (after < before ? HOUR_MS : 0));
    const at = due === undefined ? 'never' : new Date(due).toISOString();
    const when = new Date(affected).toISOString().slice(0, 19);
    warnings.push(
      after > before
        ? `${when} does not exist in ${timeZone}: due ${at}, after the change of clock`
        : `${when} comes twice in ${timeZone}: due once, ${at}`,
    );
  }
  return warnings;
}

/** The hour in which the offset changes, to the minute. */
function changeWithin(offset: (ms: number) => number, fromMs: number, toMs: number): number {
  let [low, high] = [fromMs, toMs];
  const before = offset(low);
  while (high - low > 60_000) {
    const middle = low + Math.floor((high - low) / 2);
    if (offset(middle) === before) low = middle;
    else high = middle;
  }
  return Math.floor(high / 60_000) * 60_000;
}

/** What local time is ahead of UTC by, in ms. */
function offsetIn(timeZone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (ms) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    const local = Date.UTC(year, month - 1, day, hour, minute, second);
    return local - Math.floor(ms / 1000) * 1000;
  };
}
