import { sumCounters, type Counters } from './counters.ts';
import type { PartitionCursor, PositionRange } from './cursor.ts';
import { PartitionProgress } from './progress.ts';
import type { PartitionState } from './state.ts';

/** How far a subscription has come in each of its partitions, and what is to be written of it. */
export class Partitions {
  readonly #progress = new Map<number, PartitionProgress>();
  readonly #cursorBytesMax: number;
  #cursorsFull = false;

  constructor(cursorBytesMax: number) {
    this.#cursorBytesMax = cursorBytesMax;
  }

  /** Starts a partition at its cursor. */
  open(
    partition: number,
    floor: number,
    settled: readonly PositionRange[],
    state: PartitionState | undefined,
  ): void {
    this.#progress.set(partition, new PartitionProgress(partition, floor, settled, state));
  }

  of(partition: number): PartitionProgress {
    const progress = this.#progress.get(partition);
    if (progress === undefined) throw new Error(`partition ${partition} is not open`);
    return progress;
  }

  /** The books over all partitions. */
  get counters(): Counters {
    return sumCounters([...this.#progress.values()].map(({ counters }) => counters));
  }

  /** Of the largest cursor that was written last. */
  get cursorBytes(): number {
    return Math.max(0, ...[...this.#progress.values()].map(({ cursorBytes }) => cursorBytes));
  }

  /** A cursor that was written last is as large as it may be. */
  get cursorsFull(): boolean {
    return this.#cursorsFull;
  }

  /** Cursors that have moved; marks them clean. Large ones only if they are due, or `all`. */
  takeCursors(all: boolean, nowMs: number): PartitionCursor[] {
    const out: PartitionCursor[] = [];
    let full = false;
    for (const progress of this.#progress.values()) {
      if (progress.dirty && (all || progress.isDue(nowMs))) out.push(progress.take(nowMs));
      full ||= progress.cursorBytes >= this.#cursorBytesMax;
    }
    this.#cursorsFull = full;
    return out;
  }
}
