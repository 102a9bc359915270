import type { EventStore } from '@eventmesh/store-api';
import type { Tap, TapHandle } from '../follow/tap.ts';
import { AgainReader } from './again-reader.ts';
import { SubscriptionTap, type SubscriptionTapOptions } from './subscription-tap.ts';

export interface ReadingOptions extends SubscriptionTapOptions {
  readonly store: Pick<EventStore, 'read'>;
  readonly log: string;
  readonly partitions: number;
  readonly readAheadBytes: number;
}

/**
 * How a subscription reads its partitions: on from where it stands, and once more for its parked
 * keys; each only while the engine has room.
 */
export class Reading {
  readonly #options: ReadingOptions;
  readonly #tap: SubscriptionTap;
  readonly #handles: TapHandle[] = [];
  /** By partition. */
  readonly #again: readonly AgainReader[];

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#tap = new SubscriptionTap(options);
    this.#again = Array.from({ length: options.partitions }, (_, partition) =>
      this.#againReader(partition),
    );
  }

  start(handles: (tap: Tap) => readonly TapHandle[]): void {
    this.#handles.push(...handles(this.#tap));
  }

  /** There may be room again, or something is wanted back. */
  resume(): void {
    if (this.#options.engine.wantsAgain) for (const reader of this.#again) reader.wake();
    if (!this.#tap.hungry) return;
    for (const handle of this.#handles) handle.resume();
  }

  /** Records that are of no use to it are told of late: now. */
  refresh(): void {
    for (const handle of this.#handles) handle.refresh();
  }

  /** The books are complete by the end of this; nothing is read after it. */
  close(): void {
    this.refresh();
    for (const handle of this.#handles) handle.close();
    for (const reader of this.#again) reader.close();
  }

  #againReader(partition: number): AgainReader {
    const { subscription, engine, store, log, readAheadBytes, logger } = this.#options;
    return new AgainReader({
      store,
      log,
      partition,
      topicFilters: subscription.topicFilters,
      readAheadBytes,
      engine,
      matches: (record) => this.#tap.matchesAgain(record),
      onRead: this.#options.onOffered,
      onGap: (from, to) => this.#options.onGap({ partition, from, to }),
      logger,
    });
  }
}
