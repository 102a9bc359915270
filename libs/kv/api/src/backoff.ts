export interface BackoffOptions {
  /** First wait in milliseconds. Default 50. */
  readonly baseMs?: number;
  /** Longest wait in milliseconds. Default 5,000. */
  readonly maxMs?: number;
  /** Source of numbers in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/** Waits that double up to a cap, each somewhere in the upper half, so that peers spread out. */
export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: BackoffOptions = {}) {
    this.#baseMs = options.baseMs ?? 50;
    this.#maxMs = options.maxMs ?? 5000;
    this.#random = options.random ?? Math.random;
  }

  nextMs(): number {
    const ceiling = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.ceil(ceiling / 2 + (this.#random() * ceiling) / 2);
  }

  /** To be called after success. */
  reset(): void {
    this.#attempt = 0;
  }
}
