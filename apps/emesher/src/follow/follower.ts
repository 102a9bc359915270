import { decodeRecord, topicMatches, type RecordView } from '@eventmesh/event';
import { MatchTable } from '@eventmesh/routing';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { viewOf } from '../deliver/shared-view.ts';
import type { Tap, TapHandle } from './tap.ts';

type Batch = Extract<ReadItem, { kind: 'batch' }>;

interface Place {
  readonly tap: Tap;
  /** Next position it has to be told about. */
  next: number;
  /** While it is live: how many records the shared reader had looked at when it came to `next`. */
  looked: number;
  live: boolean;
  closed: boolean;
  wake: (() => void) | undefined;
}

export interface FollowerOptions {
  readonly store: EventStore;
  readonly log: string;
  readonly partition: number;
  readonly logger: Logger;
  /** Bytes that the store may read ahead of each reader. */
  readonly readAheadBytes: number;
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
  /** Live ones that have read further than the shared reader has. */
  readonly #ahead = new Set<Place>();
  readonly #stop = new AbortController();
  /** Next position of the shared reader; undefined until it has opened. */
  #next: number | undefined;
  /** Records that the shared reader has looked at, without those in transit. */
  #looked = 0;
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
      looked: 0,
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
      refresh: () => this.#tell(place, 0),
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
    for (const place of this.#unfiltered) if (!place.tap.ready) this.#fallBehind(place);
    const { partition } = this.#options;
    const taken = new Map<Place, number>();
    const local: number[] = [];
    const matched = new Set<Place>();
    for (let i = 0; i < batch.positions.length && this.#live.size > 0; i++) {
      const position = batch.positions[i] ?? 0;
      const record = decodeRecord(batch.records[i] ?? NO_BYTES);
      for (const place of this.#unfiltered) {
        if (position >= place.next) place.tap.offer(partition, position, record);
      }
      if (record.transit) continue;
      local.push(position);
      matched.clear();
      for (const place of this.#filtered.match(record, matched)) {
        if (position < place.next || !mayHave(place.tap, record)) continue;
        const before = taken.get(place) ?? 0;
        // What it has taken of a batch does not send it away from the rest.
        if (before === 0 && !place.tap.ready) this.#fallBehind(place);
        else if (place.tap.offer(partition, position, record)) taken.set(place, before + 1);
      }
    }
    this.#move(batch.upTo + 1, local);
    for (const place of this.#unfiltered) this.#tell(place, 0);
    for (const [place, count] of taken) this.#tell(place, count);
  }

  /** The shared reader has looked at everything below `next`, the positions `local` among it. */
  #move(next: number, local: readonly number[]): void {
    for (const place of this.#ahead) {
      // These were among what it has read itself.
      place.looked += local.filter((position) => position < place.next).length;
      if (place.next <= next) this.#ahead.delete(place);
    }
    this.#looked += local.length;
    this.#next = next;
  }

  /** Tells a live tap where the shared reader stands; it has `taken` of what is new to it. */
  #tell(place: Place, taken: number): void {
    const next = this.#next ?? 0;
    if (!place.live || place.next >= next) return;
    const others = this.#looked - place.looked - taken;
    place.next = next;
    place.looked = this.#looked;
    place.tap.advance(this.#options.partition, next - 1, others);
  }

  #gap(from: number, to: number): void {
    for (const place of this.#live) {
      this.#tell(place, 0);
      if (place.next > to) continue;
      place.tap.gap(this.#options.partition, Math.max(from, place.next), to);
      place.next = to + 1;
    }
    this.#move(to + 1, []);
  }

  #join(place: Place): void {
    const { tap } = place;
    place.live = true;
    place.looked = this.#looked;
    this.#live.add(place);
    if (place.next > (this.#next ?? 0)) this.#ahead.add(place);
    if (tap.topicFilters === undefined) this.#unfiltered.add(place);
    else this.#filtered.add(tap.topicFilters, tap.conditions ?? [], place);
  }

  #leave(place: Place): void {
    if (!place.live) return;
    this.#tell(place, 0);
    place.live = false;
    this.#live.delete(place);
    this.#ahead.delete(place);
    this.#unfiltered.delete(place);
    this.#filtered.remove(place.tap.topicFilters ?? [], place);
  }

  #fallBehind(place: Place): void {
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
        await this.#readSome(place);
      } catch (error) {
        await this.#failed(error, 'a catch-up reader failed');
      }
    }
  }

  async #readSome(place: Place): Promise<void> {
    const { store, log, partition, readAheadBytes } = this.#options;
    const leave = new AbortController();
    const from = { kind: 'position', position: place.next } as const;
    const { topicFilters } = place.tap;
    const options = {
      log,
      partition,
      from,
      readAheadBytes,
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
      if (!place.tap.hungry) break;
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
      const wanted = tap.topicFilters === undefined || wants(tap, tap.topicFilters, record);
      const taken = wanted && tap.offer(partition, position, record);
      if (!taken && !record.transit) others++;
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
const TURN_RECORDS = 32;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A redriven dead letter is for the subscription that gave it up. */
function mayHave(tap: Tap, { handling }: RecordView): boolean {
  return handling.onlySubscription === '' || handling.onlySubscription === tap.recipient;
}

function wants(tap: Tap, filters: readonly string[], record: RecordView): boolean {
  if (record.transit || !mayHave(tap, record)) return false;
  return filters.some((filter) => topicMatches(filter, record.topic));
}
