/** A change of clock: from then on local time is ahead of UTC by `after`, in ms, and no more by `before`. */
export interface ClockChange {
  readonly atMs: number;
  readonly before: number;
  readonly after: number;
}

/** Offsets are compared once a day: no zone changes its clock and takes that back within one. */
const DAY_MS = 86_400_000;

/** What local time of an IANA time zone is ahead of UTC by, and when that changes. All times are ms. */
export class ZoneClock {
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError when there is no such zone. */
  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  offset(ms: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
  }

  /** The first change after `fromMs` and not after `toMs`. */
  nextChange(fromMs: number, toMs: number): ClockChange | undefined {
    const before = this.offset(fromMs);
    for (let low = fromMs; low < toMs; low += DAY_MS) {
      const high = Math.min(toMs, low + DAY_MS);
      if (this.offset(high) !== before) return this.#between(low, high);
    }
    return undefined;
  }

  /** The last change that is not after `fromMs` and after `toMs`, which lies before it. */
  previousChange(fromMs: number, toMs: number): ClockChange | undefined {
    const after = this.offset(fromMs);
    for (let high = fromMs; high > toMs; high -= DAY_MS) {
      const low = Math.max(toMs, high - DAY_MS);
      if (this.offset(low) !== after) return this.#between(low, high);
    }
    return undefined;
  }

  /** Changes of clock are at whole seconds. */
  #between(fromMs: number, toMs: number): ClockChange {
    const before = this.offset(fromMs);
    let low = Math.floor(fromMs / 1000);
    let high = Math.floor(toMs / 1000);
    while (high - low > 1) {
      const middle = low + Math.floor((high - low) / 2);
      if (this.offset(middle * 1000) === before) low = middle;
      else high = middle;
    }
    return { atMs: high * 1000, before, after: this.offset(high * 1000) };
  }
}
