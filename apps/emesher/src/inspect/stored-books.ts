import type { EventView } from '@eventmesh/event';
import type { AppendReceipt } from '@eventmesh/store-api';
import type { Journal } from './journal.ts';
import type { TopicCount } from './ledger.ts';

/** The part of a tenant's log that an append went to, and the time it counts from. */
export interface StoredIn {
  readonly tenant: string;
  readonly partition: number;
  /** Ms since the epoch. */
  readonly timeMs: number;
}

/**
 * What one append has brought into the store comes into the books of this emesher, whichever way it
 * came in: published, over a link, or fired when it was due. An event that was in the store before is
 * in the books already. Made once for an append; nothing is made for an event.
 */
export class StoredBooks {
  /** Events of the append that were not in the store before. */
  readonly fresh: number;
  /** Those that were. */
  readonly duplicates: number;
  readonly #journal: Journal;
  readonly #tenant: string;
  readonly #partition: number;
  readonly #timeMs: number;
  readonly #positions: readonly number[];
  /** Undefined when all are new, as they nearly always are. */
  readonly #again: ReadonlySet<number> | undefined;

  constructor(
    journal: Journal,
    { tenant, partition, timeMs }: StoredIn,
    { positions, duplicates }: Pick<AppendReceipt, 'positions' | 'duplicates'>,
  ) {
    this.#journal = journal;
    this.#tenant = tenant;
    this.#partition = partition;
    this.#timeMs = timeMs;
    this.#positions = positions;
    this.#again = duplicates.length === 0 ? undefined : new Set(duplicates);
    this.duplicates = duplicates.length;
    this.fresh = positions.length - duplicates.length;
  }

  /** @param index in the append */
  isDuplicate(index: number): boolean {
    return this.#again?.has(index) ?? false;
  }

  /** Where an event lies; of a duplicate, where the first one does, and 0 when that is forgotten. */
  position(index: number): number {
    return this.#positions[index] ?? 0;
  }

  /** An event that is no duplicate counts for its topic, and can be found by its id from now on. */
  enter(index: number, topic: TopicCount, event: Pick<EventView, 'id' | 'source'>): void {
    topic.events++;
    topic.lastTimeMs = this.#timeMs;
    this.#journal.stored(this.#tenant, this.#partition, this.position(index), event);
  }
}
