import type { KeyQueue } from './key-queue.ts';
import type { Parked, PartitionProgress } from './progress.ts';

/**
 * A key whose first events are in memory, and the others, of one partition, wait in the log.
 *
 *     in memory, or settled | not in memory, unsettled
 *                      from ^            ^ unlistedFrom, if that is greater
 *
 * What always holds, for what was looked at:
 * - Of its events from `from` on none is in memory and none is settled, but for what is settled
 *   between `from` and `unlistedFrom`: there only those in `listed` are parked.
 * - Its events in memory all lie before `from`; so one that is read again, and is the first one from
 *   `from` on, goes to the end of the queue.
 */
export class ParkedKey implements Parked {
  readonly queue: KeyQueue;
  readonly progress: PartitionProgress;
  readonly mark: string;
  from: number;
  unlistedFrom: number;
  readonly listed = new Set<number>();
  unlisted = 0;
  /** Events up to here were with a consumer before. */
  deliveredUpTo = 0;
  /** How many of its events are wanted back now; 0: enough of them are in memory. */
  wanted = 0;

  constructor(queue: KeyQueue, progress: PartitionProgress, mark: string, from: number) {
    this.queue = queue;
    this.progress = progress;
    this.mark = mark;
    this.from = from;
    this.unlistedFrom = progress.unsettledFrom(mark);
  }

  /** Events that wait in the log. */
  get events(): number {
    return this.unlisted + this.listed.size;
  }

  deliveredAt(position: number): void {
    this.deliveredUpTo = Math.max(this.deliveredUpTo, position);
  }

  /** An event is not in memory from now on. */
  add(position: number): void {
    if (position < this.unlistedFrom) this.listed.add(position);
    else this.unlisted++;
  }

  /** Whether an event is one of those, of which it then is none any more. */
  takeOut(position: number): boolean {
    this.from = position + 1;
    if (position < this.unlistedFrom) return this.listed.delete(position);
    this.unlisted--;
    return true;
  }
}
