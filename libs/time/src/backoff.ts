/** Beyond any bound in ms by then, and still a number that can be multiplied by 0. */
const DOUBLINGS_MAX = 40;

/** A time in ms, doubled so often (0 or more) but never above the bound. */
export const doubled = (ms: number, maxMs: number, times: number): number =>
  Math.min(maxMs, ms * 2 ** Math.min(times, DOUBLINGS_MAX));

/**
 * Somewhere in the upper half of a time in ms, so that those who were cut off together do not come back
 * together. Not rounded.
 *
 * @param random Source of numbers in [0, 1).
 */
export const jittered = (ms: number, random: () => number = Math.random): number =>
  ms * (0.5 + random() / 2);

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

  /** The next wait, in whole milliseconds. */
  nextMs(): number {
    const ceilingMs = doubled(this.#baseMs, this.#maxMs, this.#attempt);
    this.#attempt += 1;
    return Math.ceil(jittered(ceilingMs, this.#random));
  }

  /** To be called after success. */
  reset(): void {
    this.#attempt = 0;
  }
}
