/** With how many events retries begin after an outage, where nothing else is configured. */
export const RETRY_WINDOW = 16;

/**
 * How many events that have failed before may be out at a time. After an outage of the consumers
 * thousands are due for their next try at once; a consumer that has just come back must not be hit
 * by all of them.
 *
 * As many failures in a row as `least`, without a success between them, mean an outage: then no more
 * than `least` such events are out at a time, one more after each success, one less after each
 * failure. So the window doubles with each round that succeeds and ends where `inFlightMax` bounds
 * what is out anyway; and while all fail again nothing is added to what is out already. It is shared
 * among the consumers as `inFlightMax` is (see `Consumers`), so that one that hangs cannot use it up. First
 * deliveries are never held back, nor is anything after a few failures among successes.
 */
export class RetryPace {
  readonly #least: number;
  readonly #most: number;
  #window: number;
  /** Since the last success; not 0 while the pace is slow. */
  #failures = 0;

  /** @param least At least 1; with `inFlightMax` or more the pace is never slow. */
  constructor(least: number, inFlightMax: number) {
    this.#least = least;
    this.#most = inFlightMax;
    this.#window = inFlightMax;
  }

  /** Most events out that have failed before. */
  get window(): number {
    return this.#window;
  }

  get isSlow(): boolean {
    return this.#window < this.#most;
  }

  /** Events have failed; or had, when this owner took over, and nobody knows of a success since. */
  failed(events = 1): void {
    this.#failures += events;
    if (this.isSlow) this.#window = Math.max(this.#least, this.#window - events);
    else if (this.#failures >= this.#least) this.#window = Math.min(this.#least, this.#most);
  }

  succeeded(): void {
    if (this.#failures === 0) return;
    if (this.isSlow) this.#window++;
    if (!this.isSlow) this.#failures = 0;
  }
}
