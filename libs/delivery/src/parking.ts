import type { RecordView } from '@eventmesh/event';
import type { Backlog } from './backlog.ts';
import { Entry } from './entry.ts';
import { markOf } from './key-id.ts';
import type { KeyQueue } from './key-queue.ts';
import { ParkedKey } from './parked-key.ts';
import type { PartitionProgress } from './progress.ts';

/** Share of the memory that is for events which are read again, so that new ones cannot fill it. */
const AGAIN_SHARE = 1 / 4;
/** How far the memory is emptied when keys are parked. */
const KEPT_SHARE = 1 / 2;

export interface ParkingOptions {
  /** Most keys that are parked at a time; 0: none ever is. */
  readonly keysMax: number;
  readonly heldMax: number;
  readonly heldBytesMax: number;
  readonly backlog: Backlog;
}

/**
 * Keys that wait behind a stuck event must not fill the memory that all keys share. When it is full
 * and a consumer finds nothing to take, what waits at their ends is dropped from it, the longest
 * stuck keys first. Of such a key later events are passed by; once its first ones are settled, the
 * next ones are read from the log again, in order, and so on until it has caught up.
 */
export class Parking {
  readonly #options: ParkingOptions;
  readonly #keys = new Set<ParkedKey>();
  #events = 0;
  /** Keys that want events back. */
  #wanting = 0;

  constructor(options: ParkingOptions) {
    this.#options = options;
  }

  get keys(): number {
    return this.#keys.size;
  }

  get isFull(): boolean {
    return this.keys >= this.#options.keysMax;
  }

  /** Events that wait in the log. */
  get events(): number {
    return this.#events;
  }

  /** Some key wants events back. */
  get wants(): boolean {
    return this.#wanting > 0;
  }

  /** As much is held as may be; of new events less may be while old ones are on their way back. */
  isFullOf(kind: 'new' | 'again'): boolean {
    const { heldMax, heldBytesMax, backlog } = this.#options;
    const share = kind === 'new' && this.wants ? 1 - AGAIN_SHARE : 1;
    return backlog.held >= heldMax * share || backlog.heldBytes >= heldBytesMax * share;
  }

  /** Parks keys until half of the memory is free, or no other can be. */
  makeRoom(): void {
    const { heldMax, heldBytesMax, backlog } = this.#options;
    if (backlog.waiting === 0) return;
    for (const queue of backlog.longestStuck()) {
      if (this.isFull && queue.parked === undefined) continue;
      this.#park(queue);
      if (backlog.held > heldMax * KEPT_SHARE) continue;
      if (backlog.heldBytes <= heldBytesMax * KEPT_SHARE) return;
    }
  }

  #park(queue: KeyQueue): void {
    const { backlog } = this.#options;
    const waiting = backlog.cutWaiting(queue);
    const [first] = waiting;
    if (first === undefined) return;
    const { progress, position } = first;
    const parked = (queue.parked ??= new ParkedKey(queue, progress, markOf(queue.id), position));
    parked.from = position;
    parked.unlistedFrom = Math.max(parked.unlistedFrom, queue.leftUpTo + 1);
    for (const entry of waiting) {
      backlog.release(entry);
      parked.add(entry.position);
      if (entry.position >= parked.unlistedFrom) progress.unlist(entry.position);
      if (entry.attempts > entry.failures) parked.deliveredAt(entry.position);
    }
    this.#events += waiting.length;
    this.#want(parked, 0);
    this.#keys.add(parked);
    progress.parked.add(parked);
  }

  /** A new event of a parked key stays in the log. */
  passBy(parked: ParkedKey, position: number): void {
    if (position < parked.unlistedFrom) parked.progress.open(position);
    else parked.progress.advance(position);
    parked.add(position);
    this.#events++;
  }

  /** An event of a parked key is settled: when few of them are left in memory, others come back. */
  eased(parked: ParkedKey): void {
    const quota = Math.floor((this.#options.heldMax * AGAIN_SHARE) / this.keys);
    const { size } = parked.queue;
    if (parked.wanted > 0 || size > quota / 2) return;
    this.#want(parked, Math.max(1, quota - size));
  }

  /** First position of a partition from which on events are wanted back. */
  wantedFrom(progress: PartitionProgress): number | undefined {
    if (progress.wanting === 0) return undefined;
    let from = Infinity;
    for (const parked of this.#keys) {
      if (parked.wanted > 0 && parked.progress === progress) from = Math.min(from, parked.from);
    }
    return from === Infinity ? undefined : from;
  }

  /** The parked key that wants an event back; it is looked for from `from` on, in rising order. */
  wanting(
    progress: PartitionProgress,
    from: number,
    position: number,
    record: RecordView,
  ): ParkedKey | undefined {
    const parked = this.#options.backlog.findKey(record)?.parked;
    if (parked === undefined || parked.wanted === 0 || parked.progress !== progress) return;
    const before = parked.from >= from && parked.from <= position;
    return before && position < progress.next ? parked : undefined;
  }

  /** Such an event goes behind the others of its key. Undefined when it was settled before. */
  takeBack(parked: ParkedKey, position: number, record: RecordView): Entry | undefined {
    const { progress } = parked;
    const listed = position < parked.unlistedFrom;
    if (!parked.takeOut(position)) return undefined;
    this.#events--;
    this.#want(parked, parked.wanted - 1);
    if (!listed) progress.openAgain(position);
    const entry = new Entry(progress, position, record, progress.notes.failures(position));
    if (position <= parked.deliveredUpTo) entry.attempts = Math.max(1, entry.attempts);
    return entry;
  }

  /**
   * All of a partition from a position up to another was looked at again, in one go. What a key has
   * not found there is gone from the log; a key that has come to where reading stands is free.
   */
  lookedAgain(progress: PartitionProgress, from: number, upTo: number): void {
    if (progress.wanting === 0) return;
    const next = Math.min(upTo + 1, progress.next);
    for (const parked of this.#keys) {
      if (parked.progress !== progress || parked.wanted === 0) continue;
      if (parked.from < from || parked.from > next) continue;
      parked.from = next;
      for (const position of parked.listed) if (position < next) this.#gone(parked, position);
      if (next === progress.next) this.#free(parked);
    }
  }

  /** One of its events was taken back: the last one, or one whose life has ended, perhaps. */
  tookBack(parked: ParkedKey): void {
    if (parked.events === 0) this.#free(parked);
    else this.eased(parked);
  }

  #free(parked: ParkedKey): void {
    const { progress, queue, unlisted } = parked;
    // Nobody can tell which ones they were: they never were open by themselves.
    if (unlisted > 0) progress.markDirty();
    progress.counters.considered -= unlisted;
    this.#events -= unlisted;
    this.#want(parked, 0);
    this.#keys.delete(parked);
    progress.parked.delete(parked);
    queue.parked = undefined;
    if (queue.empty) this.#options.backlog.drop(queue);
  }

  #gone(parked: ParkedKey, position: number): void {
    const { progress } = parked;
    parked.listed.delete(position);
    progress.settle(position);
    progress.counters.considered--;
    this.#events--;
  }

  #want(parked: ParkedKey, events: number): void {
    const change = Number(events > 0) - Number(parked.wanted > 0);
    this.#wanting += change;
    parked.progress.wanting += change;
    parked.wanted = events;
  }
}
