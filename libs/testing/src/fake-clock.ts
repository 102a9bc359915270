/** A clock that stands still until it is moved; fits every injected `{ now, setTimer }`. */
export interface FakeClock {
  now(): number;
  /** The returned function cancels and may be called twice. */
  setTimer(delayMs: number, run: () => void): () => void;
  /**
   * Moves the time forward and runs what falls due on the way, in order of time, each at its own
   * moment. Between two timers the pending promises of the test get their turn, so that a timer set
   * by one of them inside the span still runs.
   */
  advance(ms: number): Promise<void>;
  /** How many timers wait. */
  readonly pending: number;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** @param startMs the first `now()`; default a fixed moment in 2026 */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let now = startMs;
  let order = 0;
  const timers = new Set<Timer>();
  const nextDue = (until: number): Timer | undefined =>
    [...timers]
      .filter(({ at }) => at <= until)
      .sort((a, b) => a.at - b.at || a.order - b.order)
      .at(0);

  return {
    now: () => now,
    setTimer(delayMs, run) {
      const timer: Timer = { at: now + Math.max(0, delayMs), order: order++, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(ms) {
      const until = now + ms;
      await turn();
      for (let due = nextDue(until); due !== undefined; due = nextDue(until)) {
        timers.delete(due);
        now = due.at;
        due.run();
        await turn();
      }
      now = until;
      await turn();
    },
    get pending() {
      return timers.size;
    },
  };
}

/** Lets all promises that are already settled, and their followers, run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
