/** How long a reader waits for one commit at most, in ms: a disk that hangs must not stop readers. */
export const WAIT_MS_MAX = 5;
/** How long no commit holds it at least once it has waited, in ms, so that it always comes further. */
const FREE_MS_MIN = 1;
/** How long after a lone append its like are expected, in ms: 20 a second are live traffic. */
const LIVE_MS = 50;
/**
 * How long readers read on while there is live traffic, and how long they rest then and after each
 * commit that they have waited for, in ms.
 */
const STRETCH_MS = 0.5;
const REST_MS = 1;

/**
 * Readers of what has lain in the store give way to a lone append: somebody waits for the receipt,
 * and the thread that commits and the one that reads share the cores. A reader waits for the commit
 * in flight and rests after it: as long as this thread runs on, the kernel likes to keep whoever the
 * receipt has woken waiting for its core, though another one may be free. Then no commit holds it for
 * at least as long as it has waited, so that it always comes further. While such appends keep coming,
 * readers rest between them as well: whoever catches up makes work for others on the machine, its
 * consumer above all, and the next append is to meet cores that are free. A sixth of the time is left
 * to read in, however close the appends come.
 *
 * Where one commit follows the other anyway, what counts is how much is done, and nobody gives way.
 */
export class RightOfWay {
  readonly #now: () => number;
  /** Since when appends wait for a commit; undefined when none does. */
  #sinceMs: number | undefined;
  /** The commit in flight took what had come during the one before. */
  #busy = false;
  #freeUntilMs = 0;
  #waiting = new Set<() => void>();
  /** When a lone append came last. */
  #appendMs = -Infinity;
  /** When a reader passed last, and since when they have not rested. */
  #passedMs = -Infinity;
  #stretchMs = 0;
  #rest: { readonly over: Promise<void>; readonly end: () => void } | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  /** How long readers have waited for a commit before or in the present rest; undefined: for none. */
  #waitedMs: number | undefined;

  /** @param now Milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An append waits for a commit. */
  begin(): void {
    if (this.#busy) return;
    this.#appendMs = this.#now();
    this.#sinceMs ??= this.#appendMs;
  }

  /**
   * A commit with appends has ended, for better or worse.
   *
   * @param more Appends have come meanwhile.
   */
  end(more = false): void {
    this.#busy = more;
    if (this.#sinceMs === undefined) return;
    const nowMs = this.#now();
    const tookMs = nowMs - this.#sinceMs;
    this.#sinceMs = undefined;
    const waiting = this.#waiting;
    if (!more && nowMs >= this.#freeUntilMs) {
      const held = waiting.size > 0 || this.#rest !== undefined;
      void this.#takeRest(held ? tookMs : undefined);
    }
    if (waiting.size === 0) return;
    this.#waiting = new Set();
    // In the next turn: what waits for the commit itself comes first.
    setImmediate(() => {
      if (more) this.#free(tookMs);
      for (const go of waiting) go();
    });
  }

  /** Resolves when a reader should ask again; undefined when it may go on. */
  pass(): Promise<void> | undefined {
    const nowMs = this.#now();
    if (this.#sinceMs !== undefined && nowMs >= this.#freeUntilMs) return this.#untilCommitted();
    if (this.#busy || nowMs - this.#appendMs > LIVE_MS) return undefined;
    if (this.#rest !== undefined) return this.#rest.over;
    // Readers that have had nothing to do have rested.
    if (nowMs - this.#passedMs > REST_MS) this.#stretchMs = nowMs;
    this.#passedMs = nowMs;
    return nowMs - this.#stretchMs < STRETCH_MS ? undefined : this.#takeRest(undefined);
  }

  #untilCommitted(): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting;
      const go = () => {
        clearTimeout(late);
        resolve();
      };
      const late = setTimeout(() => {
        waiting.delete(go);
        this.#free(WAIT_MS_MAX);
        resolve();
      }, WAIT_MS_MAX);
      waiting.add(go);
    });
  }

  /** Begins a rest, or begins the present one anew: once, so that commits do not keep it up. */
  #takeRest(waitedMs: number | undefined): Promise<void> {
    if (this.#waitedMs === undefined) {
      clearTimeout(this.#restTimer);
      this.#restTimer = setTimeout(() => this.#endRest(), REST_MS);
    }
    this.#waitedMs ??= waitedMs;
    if (this.#rest === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#rest = { over: promise, end: resolve };
    }
    return this.#rest.over;
  }

  #endRest(): void {
    const waitedMs = this.#waitedMs;
    this.#waitedMs = undefined;
    this.#stretchMs = this.#now();
    if (waitedMs !== undefined) this.#free(waitedMs + REST_MS);
    this.#rest?.end();
    this.#rest = undefined;
  }

  #free(waitedMs: number): void {
    this.#stretchMs = this.#now();
    this.#freeUntilMs = this.#stretchMs + Math.min(Math.max(waitedMs, FREE_MS_MIN), WAIT_MS_MAX);
  }
}
