import type { Clock } from '@eventmesh/kv-api';
import type { StoredLease } from './layout.ts';

/** The running leases in memory, with one timer for the earliest deadline. */
export class LeaseTable {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  readonly #leases = new Map<string, { ttlMs: number; deadline: number }>();
  #cancelTimer = (): void => undefined;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** A lease from disk. Its deadline is cut to one full time from now, should the clock be back. */
  restore(id: string, [ttlMs, deadline]: StoredLease): void {
    this.#leases.set(id, { ttlMs, deadline: Math.min(deadline, this.#clock.now() + ttlMs) });
  }

  set(id: string, ttlMs: number, deadline: number): void {
    this.#leases.set(id, { ttlMs, deadline });
    this.arm();
  }

  delete(id: string): void {
    this.#leases.delete(id);
    this.arm();
  }

  /** A lease past its deadline has ended, whether or not its keys are gone yet. */
  isRunning(id: string): boolean {
    const lease = this.#leases.get(id);
    return lease !== undefined && lease.deadline > this.#clock.now();
  }

  due(): string[] {
    const now = this.#clock.now();
    return [...this.#leases].filter(([, lease]) => lease.deadline <= now).map(([id]) => id);
  }

  arm(): void {
    this.#cancelTimer();
    this.#cancelTimer = () => undefined;
    let earliest = Infinity;
    for (const { deadline } of this.#leases.values()) earliest = Math.min(earliest, deadline);
    if (earliest === Infinity) return;
    // A clock set back leaves the timer early; it then finds nothing due and arms itself again.
    const delayMs = Math.max(1, earliest - this.#clock.now());
    this.#cancelTimer = this.#clock.setTimer(delayMs, () => {
      if (this.due().length > 0) this.#onDue();
      else this.arm();
    });
  }

  stop(): void {
    this.#cancelTimer();
    this.#leases.clear();
  }
}
