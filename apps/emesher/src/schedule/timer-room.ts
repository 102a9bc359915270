/** What is known of the log of timers of a tenant. */
export interface TimerStock {
  /** It is known up to this position. */
  readonly upTo: number;
  /** Timers that there is room for besides those that are known. */
  readonly free: number;
}

/**
 * Room for timers that are on their way into the log, or in it and not read yet: each takes its place
 * when it is let in, so that no call, however many events it has, gets more in than may wait.
 */
export class TimerRoom {
  /** On their way to the store. */
  #sent = 0;
  /** Stored, and not yet known to whoever counts: never more than there is room for. */
  #stored: { readonly upTo: number; readonly timers: number }[] = [];
  #unread = 0;

  /** Takes the place of one timer; false when there is none. */
  take({ upTo, free }: TimerStock): boolean {
    if (this.#unread > 0) this.#read(upTo);
    if (this.#sent + this.#unread >= free) return false;
    this.#sent++;
    return true;
  }

  /** So many that took a place are in the log now, at most at this position. */
  landed(timers: number, upTo: number): void {
    this.give(timers);
    if (timers === 0) return;
    this.#stored.push({ upTo, timers });
    this.#unread += timers;
  }

  /** So many that took a place have not come into the log. */
  give(timers: number): void {
    this.#sent -= timers;
  }

  #read(upTo: number): void {
    this.#stored = this.#stored.filter((stored) => stored.upTo > upTo);
    // Of one append it may have read a part: its records lie side by side.
    const unread = this.#stored.map((stored) => Math.min(stored.timers, stored.upTo - upTo));
    this.#unread = unread.reduce((sum, timers) => sum + timers, 0);
  }
}
