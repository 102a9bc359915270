import { decodeRecord, topicMatches, type RecordView } from '@eventmesh/event';
import { TopicTrie } from '@eventmesh/routing';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Tap, TapHandle } from './tap.ts';

type Batch = Extract<ReadItem, { kind: 'batch' }>;

interface Place {
  readonly tap: Tap;
  /** Next position it has to be told about. */
  next: number;
  live: boolean;
  closed: boolean;
  wake: (() => void) | undefined;
}

export interface FollowerOptions {
  readonly store: EventStore;
  readonly log: string;
  readonly partition: number;
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
  readonly #filtered = new TopicTrie<Place>();
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
    const place: Place = { tap, next: from, live: false, closed: false, wake: undefined };
    if (!this.#running) {
      this.#running = true;
      void this.#follow();
    }
    void this.#catchUp(place);
    return {
      resume: () => place.wake?.(),
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
    const { store, log, partition } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const from =
        this.#next === undefined
          ? ({ kind: 'tail' } as const)
          : ({ kind: 'position', position: this.#next } as const);
      try {
        for await (const item of store.read({ log, partition, from, signal })) {
          if (item.kind === 'opened') this.#next ??= item.position;
          else if (item.kind === 'gap') this.#gap(item.from, item.to);
          else this.#spread(item);
        }
      } catch (error) {
        await this.#failed(error, 'the tail reader failed');
      }
    }
  }

  /** Hands a batch of the tail to all live taps; each record is decoded and matched once. */
  #spread(batch: Batch): void {
    this.#next = batch.upTo + 1;
    if (this.#live.size === 0) return;
    for (const place of this.#live) if (!place.tap.ready) this.#fallBehind(place);
    const { partition } = this.#options;
    const offered = new Map<Place, number>();
    let local = 0;
    const matched = new Set<Place>();
    for (let i = 0; i < batch.positions.length; i++) {
      const position = batch.positions[i] ?? 0;
      const record = decodeRecord(batch.records[i] ?? NO_BYTES);
      for (const place of this.#unfiltered) place.tap.offer(partition, position, record);
      if (record.transit) continue;
      local++;
      matched.clear();
      this.#filtered.match(record.topic, matched);
      for (const place of matched) {
        if (!mayHave(place.tap, record)) continue;
        place.tap.offer(partition, position, record);
        offered.set(place, (offered.get(place) ?? 0) + 1);
      }
    }
    for (const place of this.#live) {
      place.next = batch.upTo + 1;
      place.tap.advance(partition, batch.upTo, local - (offered.get(place) ?? 0));
    }
  }

  #gap(from: number, to: number): void {
    this.#next = to + 1;
    for (const place of this.#live) {
      place.next = to + 1;
      place.tap.gap(this.#options.partition, from, to);
    }
  }

  #join(place: Place): void {
    place.live = true;
    this.#live.add(place);
    if (place.tap.topicFilters === undefined) this.#unfiltered.add(place);
    else for (const filter of place.tap.topicFilters) this.#filtered.add(filter, place);
  }

  #leave(place: Place): void {
    if (!place.live) return;
    place.live = false;
    this.#live.delete(place);
    this.#unfiltered.delete(place);
    for (const filter of place.tap.topicFilters ?? []) this.#filtered.remove(filter, place);
  }

  #fallBehind(place: Place): void {
    this.#leave(place);
    void this.#catchUp(place);
  }

  /** Reads for one tap until it meets the shared reader. */
  async #catchUp(place: Place): Promise<void> {
    while (!place.closed && !this.#stop.signal.aborted) {
      if (!place.tap.ready) {
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
        await this.#readSome(place);
      } catch (error) {
        await this.#failed(error, 'a catch-up reader failed');
      }
    }
  }

  async #readSome(place: Place): Promise<void> {
    const { store, log, partition } = this.#options;
    const leave = new AbortController();
    const from = { kind: 'position', position: place.next } as const;
    const { topicFilters } = place.tap;
    const options = {
      log,
      partition,
      from,
      stopAtEnd: true,
      signal: AbortSignal.any([leave.signal, this.#stop.signal]),
      ...(topicFilters === undefined ? {} : { topicFilters }),
    };
    let records = 0;
    for await (const item of store.read(options)) {
      if (place.closed) break;
      if (item.kind === 'gap') {
        place.next = item.to + 1;
        place.tap.gap(partition, item.from, item.to);
      } else if (item.kind === 'batch') {
        this.#handOver(place, item);
        records += item.records.length;
      }
      if (!place.tap.ready) break;
      if (records < TURN_RECORDS) continue;
      records = 0;
      await nextTurn();
    }
    leave.abort();
    // The reader may end before the tail has moved on; the shared reader has the rest.
    if (this.#next === undefined) await nextTurn();
  }

  #handOver(place: Place, batch: Batch): void {
    const { tap } = place;
    const { partition } = this.#options;
    const boundary = tap.boundary(partition);
    // Records that the store left out by the filters count as looked at, too.
    let others = 0;
    for (let i = 0; i < batch.positions.length; i++) {
      const position = batch.positions[i] ?? 0;
      others += position - place.next;
      if (place.next <= boundary && boundary < position) {
        others -= position - 1 - boundary;
        tap.advance(partition, boundary, others);
        others = position - 1 - boundary;
      }
      place.next = position + 1;
      const record = decodeRecord(batch.records[i] ?? NO_BYTES);
      if (tap.topicFilters === undefined || wants(tap, tap.topicFilters, record)) {
        tap.offer(partition, position, record);
      } else if (!record.transit) others++;
      if (position === boundary) {
        tap.advance(partition, boundary, others);
        others = 0;
      }
    }
    others += batch.upTo + 1 - place.next;
    place.next = batch.upTo + 1;
    tap.advance(partition, batch.upTo, others);
  }

  async #failed(error: unknown, what: string): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { logger, log, partition, retryMs } = this.#options;
    logger.warn({ err: error, log, partition }, `${what}; trying again`);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

const NO_BYTES = new Uint8Array(0);

/** Records that one tap catches up with before others have their turn. */
const TURN_RECORDS = 128;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A redriven dead letter is for the subscription that gave it up. */
function mayHave(tap: Tap, { handling }: RecordView): boolean {
  return handling.onlySubscription === '' || handling.onlySubscription === tap.recipient;
}

function wants(tap: Tap, filters: readonly string[], record: RecordView): boolean {
  if (record.transit || !mayHave(tap, record)) return false;
  return filters.some((filter) => topicMatches(filter, record.topic));
}
