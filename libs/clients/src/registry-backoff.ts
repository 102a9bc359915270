/** Waits that double up to a cap, each somewhere in the upper half, so that peers spread out. */
export class RegistryBackoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  #attempt = 0;

  constructor(baseMs: number, maxMs: number) {
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
  }

  nextMs(): number {
    const ceiling = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#attempt, 20));
    this.#attempt++;
    return Math.ceil(ceiling / 2 + (Math.random() * ceiling) / 2);
  }

  /** To be called after success. */
  reset(): void {
    this.#attempt = 0;
  }
}

/** Resolves after `delayMs`, or at once when `signal` aborts; never rejects. */
export function pauseFor(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener('abort', done, { once: true });
  });
}
