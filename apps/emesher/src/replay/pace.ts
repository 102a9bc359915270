/** Seconds of events that may go out at once after a pause; the pace holds within this. */
const BURST_SECONDS = 0.05;

/** A token bucket: how many events may go out now, for a rate in events a second. */
export class Pace {
  readonly #perMs: number;
  readonly #capacity: number;
  readonly #now: () => number;
  #tokens = 1;
  #atMs: number;

  /** @param rate Events a second; 0: no limit. @param now A monotonic clock in ms. */
  constructor(rate: number, now: () => number) {
    this.#perMs = rate / 1000;
    this.#capacity = 1 + rate * BURST_SECONDS;
    this.#now = now;
    this.#atMs = now();
  }

  get available(): number {
    if (this.#perMs === 0) return Number.MAX_SAFE_INTEGER;
    const now = this.#now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + (now - this.#atMs) * this.#perMs);
    this.#atMs = now;
    return Math.floor(this.#tokens);
  }

  take(events: number): void {
    if (this.#perMs !== 0) this.#tokens -= events;
  }

  /** Ms until an event may go out; 0 when one may. */
  get waitMs(): number {
    return this.available >= 1 ? 0 : (1 - this.#tokens) / this.#perMs;
  }
}
