import { RETRY_DELAY_MS_MAX } from './retry.ts';
import type { PartitionState } from './state.ts';

/**
 * What has to be remembered of single positions of a partition: how often they have failed, and until
 * when they wait. Apart from how far reading and settling have come, since the two do not go
 * together: after a restart there are notes of positions that reading has not come to again.
 */
export class PositionNotes {
  /** Of unsettled positions, and of those that reading has not come to since the restart. */
  readonly #failures: Map<number, number>;
  /** When those positions are due that wait for a delay, or waited for one, in ms. */
  readonly #dues: Map<number, number>;
  #changed = false;

  constructor(state?: Pick<PartitionState, 'failures' | 'delays'>) {
    this.#failures = new Map(state?.failures);
    this.#dues = new Map(state?.delays);
  }

  /** Whether there are new ones since they were taken. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Failures so far, those before a restart among them. */
  failures(position: number): number {
    return this.#failures.size === 0 ? 0 : (this.#failures.get(position) ?? 0);
  }

  failed(position: number, failures: number): void {
    this.#failures.set(position, failures);
    this.#changed = true;
  }

  /** It is not to go out before a time. */
  delayed(position: number, dueMs: number): void {
    this.#dues.set(position, dueMs);
    this.#changed = true;
  }

  /**
   * When a position may go out, as the last owner has said; 0: at once. By the wall clock, so early
   * or late by as much as clocks differ, and never later than any delay may be.
   */
  dueMs(position: number, nowMs: number): number {
    return Math.min(this.#dues.get(position) ?? 0, nowMs + RETRY_DELAY_MS_MAX);
  }

  /** The position is settled. */
  settled(position: number): void {
    if (this.#failures.size > 0) this.#failures.delete(position);
    if (this.#dues.size > 0) this.#dues.delete(position);
  }

  /** Drops the delays that are over, and what is known of positions that can fail or wait no more. */
  forget(nowMs: number, isUnsettled: (position: number) => boolean): void {
    for (const position of this.#failures.keys()) {
      if (!isUnsettled(position)) this.#failures.delete(position);
    }
    for (const [position, dueMs] of this.#dues) {
      if (dueMs <= nowMs || !isUnsettled(position)) this.#dues.delete(position);
    }
  }

  /** What to write now. Marks the notes unchanged. */
  take(): Pick<PartitionState, 'failures' | 'delays'> {
    this.#changed = false;
    return { failures: rising(this.#failures), delays: rising(this.#dues) };
  }
}

const rising = (notes: ReadonlyMap<number, number>): [number, number][] =>
  [...notes].sort(([a], [b]) => a - b);
