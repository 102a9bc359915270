import type { RecordView } from '@eventmesh/event';
import type { Counters } from './counters.ts';
import type { EngineParts } from './engine-parts.ts';
import type { Entry } from './entry.ts';
import { stuckKey, type StuckKey } from './key-order.ts';
import type { PartitionProgress } from './progress.ts';

/**
 * What keeps a subscription from reading though a consumer would take more: `memory` is full of
 * events of which each is out, tried again, or being buried; as many `keys` as may be are parked;
 * or the `cursor` of a partition is as large as it may be.
 */
export type Stopped = 'memory' | 'keys' | 'cursor';

/** What waits to be tried again, and until when. */
export interface Waiting {
  /** Events that wait for the end of a delay, that of a retry or one that a consumer asked for. */
  readonly delayed: number;
  /** When the first of them is due, ms since the epoch; 0: there is none. */
  readonly nextDueMs: number;
  /** Events that are due and wait for room in the window. */
  readonly paced: number;
  /** How many that have failed may be out, in equal shares; 0: retries are not slowed down. */
  readonly retryWindow: number;
}

/** An engine as one may look at it: how it stands, what it holds, and why that waits. */
export abstract class EngineView {
  protected readonly parts: EngineParts;
  readonly #now: () => number;

  constructor(parts: EngineParts, now: () => number) {
    this.parts = parts;
    this.#now = now;
  }

  /** The books over all partitions. */
  get counters(): Counters {
    return this.parts.partitions.counters;
  }

  partition(partition: number): PartitionProgress {
    return this.parts.partitions.of(partition);
  }

  /** Matched and not settled, in memory or parked. */
  get held(): number {
    return this.parts.backlog.held + this.parts.parking.events;
  }

  /** Those of them that are not in memory. */
  get parkedEvents(): number {
    return this.parts.parking.events;
  }

  get parkedKeys(): number {
    return this.parts.parking.keys;
  }

  /** Bytes of the events in memory. */
  get heldBytes(): number {
    return this.parts.backlog.heldBytes;
  }

  get consumers(): number {
    return this.parts.consumers.size;
  }

  get inFlight(): number {
    return this.parts.leases.size;
  }

  /** Matched events that were not tried yet: nobody had credit, or their turn has not come. */
  get untried(): number {
    return this.parts.backlog.untried;
  }

  /** What waits for its next try. */
  get waiting(): Waiting {
    const { backlog, pace } = this.parts;
    const { delayed, nextDue: nextDueMs = 0, paced } = backlog;
    return { delayed, nextDueMs, paced, retryWindow: pace.isSlow ? pace.window : 0 };
  }

  /** Enough is held: offer no more until this is false again. */
  get saturated(): boolean {
    return this.parts.partitions.cursorsFull || this.parts.parking.isFullOf('new');
  }

  /** Of the largest cursor that was written last. */
  get cursorBytes(): number {
    return this.parts.partitions.cursorBytes;
  }

  /** Undefined while reading goes on, and while it waits for the consumers alone. */
  get stopped(): Stopped | undefined {
    if (this.parts.partitions.cursorsFull) return 'cursor';
    if (!this.saturated || !this.parts.dispatch.starved) return undefined;
    return this.parts.parking.isFull ? 'keys' : 'memory';
  }

  /** An event waits because nobody can tell whether it may go out. */
  get blocked(): boolean {
    return this.parts.dispatch.blocked;
  }

  /** Keys that wait behind an event that is out, retried or being buried; the longest wait first. */
  stuckKeys(max: number): StuckKey[] {
    return this.parts.backlog.stuckKeys(max, this.#now());
  }

  /** What is matched and not settled at a position, to look at. Searches all that is held. */
  find(partition: number, position: number): Readonly<Entry> | undefined {
    const { leases, backlog, burials } = this.parts;
    for (const entries of [leases.values(), backlog.values(), burials.values()]) {
      for (const entry of entries) {
        if (entry.position === position && entry.partition === partition) return entry;
      }
    }
    return undefined;
  }

  /** The key of an event that is parked: who holds it up, and how many wait before and behind. */
  parkedAt(partition: number, position: number, record: RecordView): StuckKey | undefined {
    const key = this.parts.backlog.findKey(record);
    const { progress, from = Infinity } = key?.parked ?? {};
    if (key === undefined || progress?.partition !== partition) return undefined;
    if (position < from || position >= progress.next) return undefined;
    return stuckKey(key, this.#now());
  }
}
