import { decodeRecord, type RecordView } from '@eventmesh/event';
import { MatchTable } from '@eventmesh/routing';
import type { ReadItem } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { nextTurn, pause } from '@eventmesh/time';
import { viewOf } from '../deliver/shared-view.ts';
import { passTo, readSome, type Source, type TapPlace } from './own-reader.ts';
import { mayHave, type Tap, type TapHandle } from './tap.ts';

type Batch = Extract<ReadItem, { kind: 'batch' }>;

interface Place extends TapPlace {
  live: boolean;
  closed: boolean;
  wake: (() => void) | undefined;
}

export interface FollowerOptions extends Source {
  readonly logger: Logger;
  /** Pause after a failed read, in ms. */
  readonly retryMs: number;
}

/**
 * One shared reader of a partition's tail for any number of taps. A tap that falls behind, or
 * starts in the past, reads by itself until it meets the tail, and then joins. So memory does not
 * grow with slow taps: the store is the queue.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #live = new Set<Place>();
  readonly #filtered = new MatchTable<RecordView, Place>(viewOf);
  readonly #unfiltered = new Set<Place>();
  readonly #stop = new AbortController();
  /** Next position of the shared reader; undefined until it has opened. */
  #next: number | undefined;
  #running = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** One past the last position that the shared reader has seen; 0 before it has opened. */
  get position(): number {
    return this.#next ?? 0;
  }

  /** Adds a tap that has everything below `from`. */
  attach(tap: Tap, from: number): TapHandle {
    const place: Place = {
      tap,
      next: from,
      boundary: tap.boundary(this.#options.partition),
      live: false,
      closed: false,
      wake: undefined,
    };
    if (!this.#running) {
      this.#running = true;
      void this.#follow();
    }
    void this.#catchUp(place);
    return {
      resume: () => place.wake?.(),
      refresh: () => this.#tell(place),
      close: () => {
        place.closed = true;
        this.#leave(place);
        place.wake?.();
      },
    };
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(): Promise<void> {
    const { store, log, partition, readAheadBytes } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const from =
        this.#next === undefined
          ? ({ kind: 'tail' } as const)
          : ({ kind: 'position', position: this.#next } as const);
      try {
        for await (const item of store.read({ log, partition, from, readAheadBytes, signal })) {
          if (item.kind === 'opened') this.#next ??= item.position;
          else if (item.kind === 'gap') this.#gap(item.from, item.to);
          else this.#spread(item);
        }
      } catch (error) {
        await this.#failed(error, 'the tail reader failed');
      }
    }
  }

  /**
   * Hands a batch of the tail to all live taps; each record is decoded and matched once. What is
   * not for a tap costs it nothing: it is told of that together with what is, or later.
   */
  #spread(batch: Batch): void {
    for (const place of this.#unfiltered) {
      if (!place.tap.ready) this.#fallBehind(place, this.position, 0);
    }
    const { partition } = this.#options;
    /** What each has taken of the batch that is not in its books yet. */
    const taken = new Map<Place, number>();
    const matched = new Set<Place>();
    for (let i = 0; i < batch.positions.length && this.#live.size > 0; i++) {
      const position = batch.positions[i] ?? 0;
      const record = decodeRecord(batch.records[i] ?? NO_BYTES);
      for (const place of this.#unfiltered) {
        if (position >= place.next) place.tap.offer(partition, position, record);
      }
      if (record.transit) continue;
      matched.clear();
      for (const place of this.#filtered.match(record, matched)) {
        if (position < place.next || !mayHave(place.tap, record)) continue;
        const before = taken.get(place) ?? 0;
        if (!place.tap.ready) this.#fallBehind(place, position, before);
        else if (place.tap.offer(partition, position, record)) {
          taken.set(place, position > place.boundary ? before + 1 : before);
        }
      }
    }
    this.#next = batch.upTo + 1;
    for (const place of this.#unfiltered) this.#tell(place);
    for (const [place, count] of taken) this.#tell(place, count);
  }

  /** Tells a live tap where the shared reader stands; it has `taken` of what is new to it. */
  #tell(place: Place, taken = 0): void {
    if (place.live) passTo(place, this.#options.partition, this.position, taken);
  }

  #gap(from: number, to: number): void {
    for (const place of this.#live) {
      this.#tell(place);
      if (place.next > to) continue;
      place.tap.gap(this.#options.partition, Math.max(from, place.next), to);
      place.next = to + 1;
    }
    this.#next = to + 1;
  }

  #join(place: Place): void {
    const { tap } = place;
    place.live = true;
    this.#live.add(place);
    if (tap.topicFilters === undefined) this.#unfiltered.add(place);
    else this.#filtered.add(tap.topicFilters, tap.conditions ?? [], place);
  }

  #leave(place: Place): void {
    if (!place.live) return;
    this.#tell(place);
    place.live = false;
    this.#live.delete(place);
    this.#unfiltered.delete(place);
    this.#filtered.remove(place.tap.topicFilters ?? [], place);
  }

  /** It is full, and reads on from a position by itself; it has `taken` of what is before. */
  #fallBehind(place: Place, position: number, taken: number): void {
    passTo(place, this.#options.partition, position, taken);
    this.#leave(place);
    void this.#catchUp(place);
  }

  /** Reads for one tap until it meets the shared reader. */
  async #catchUp(place: Place): Promise<void> {
    while (!place.closed && !this.#stop.signal.aborted) {
      if (!place.tap.hungry) {
        await new Promise<void>((resolve) => {
          place.wake = resolve;
        });
        place.wake = undefined;
        continue;
      }
      if (this.#next !== undefined && place.next >= this.#next) {
        this.#join(place);
        return;
      }
      try {
        await readSome(this.#options, place, this.#stop.signal);
        // It may end before the tail has moved on; the shared reader has the rest.
        if (this.#next === undefined) await nextTurn();
      } catch (error) {
        await this.#failed(error, 'a catch-up reader failed');
      }
    }
  }

  async #failed(error: unknown, what: string): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { logger, log, partition, retryMs } = this.#options;
    logger.warn({ err: error, log, partition }, `${what}; trying again`);
    await pause(retryMs);
  }
}

const NO_BYTES = new Uint8Array(0);
