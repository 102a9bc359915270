import type { DeliveryEngine } from '@eventmesh/delivery';
import { decodeRecord, type RecordView } from '@eventmesh/event';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { nextTurn, pause } from '@eventmesh/time';

type Batch = Extract<ReadItem, { kind: 'batch' }>;

export interface AgainReaderOptions {
  readonly store: Pick<EventStore, 'read'>;
  readonly log: string;
  readonly partition: number;
  readonly topicFilters: readonly string[];
  readonly readAheadBytes: number;
  readonly engine: DeliveryEngine;
  /** The subscription's filters, without counting. */
  readonly matches: (record: RecordView) => boolean;
  /** Something was offered, perhaps. */
  readonly onRead: () => void;
  readonly onGap: (from: number, to: number) => void;
  readonly logger: Logger;
}

/** Records that are looked at before others have their turn. */
const TURN_RECORDS = 128;
/** Pause after a failed read, in ms. */
const RETRY_MS = 250;

/**
 * Reads a partition once more for the parked keys of a subscription, beside its live reading: from
 * the first event that some key wants back, for all of them at once, and only while one does and
 * there is room for it.
 */
export class AgainReader {
  readonly #options: AgainReaderOptions;
  readonly #stop = new AbortController();
  #running = false;
  #room: (() => void) | undefined;

  constructor(options: AgainReaderOptions) {
    this.#options = options;
  }

  /** Something may be wanted back, or there may be room for it again. */
  wake(): void {
    const { engine, partition } = this.#options;
    if (this.#running) {
      if (!engine.fullAgain) this.#room?.();
      return;
    }
    if (this.#stop.signal.aborted || engine.wantedFrom(partition) === undefined) return;
    this.#running = true;
    void this.#run();
  }

  /** Nothing is called any more after it. */
  close(): void {
    this.#stop.abort();
    this.#room?.();
  }

  async #run(): Promise<void> {
    const { engine, partition, logger, log } = this.#options;
    for (;;) {
      const from = engine.wantedFrom(partition);
      if (from === undefined || this.#stop.signal.aborted) break;
      try {
        if (engine.fullAgain) await this.#awaitRoom();
        else await this.#read(from);
      } catch (error) {
        logger.warn({ err: error, log, partition }, 'reading parked keys failed; trying again');
        await pause(RETRY_MS);
      }
    }
    this.#running = false;
  }

  /** Reads on while what comes next is what is wanted. */
  async #read(from: number): Promise<void> {
    const { store, log, partition, topicFilters, readAheadBytes, engine } = this.#options;
    // All of it is stored by now: a reader that ends has told all that is left of it.
    const last = engine.partition(partition).next - 1;
    const reading = {
      log,
      partition,
      from: { kind: 'position', position: from } as const,
      stopAtEnd: true,
      topicFilters,
      readAheadBytes,
      signal: this.#stop.signal,
    };
    let next: number | undefined = from;
    for await (const item of store.read(reading)) {
      next = await this.#take(item, next);
      if (next === undefined) break;
    }
    if (next !== undefined && !this.#stop.signal.aborted && next <= last) this.#pass(next, last);
  }

  /** Where to go on behind an item; undefined when something else is wanted by then. */
  async #take(item: ReadItem, from: number): Promise<number | undefined> {
    const { engine, partition, onGap } = this.#options;
    if (this.#stop.signal.aborted) return undefined;
    if (item.kind === 'opened') return from;
    let next = from;
    if (item.kind === 'gap') {
      next = this.#pass(from, item.to);
      onGap(item.from, item.to);
    } else {
      while (next <= item.upTo && !this.#stop.signal.aborted) {
        next = this.#offer(item, next);
        if (engine.fullAgain) await this.#awaitRoom();
        else await nextTurn();
        if (engine.wantedFrom(partition) !== next) break;
      }
    }
    const goesOn = !this.#stop.signal.aborted && engine.wantedFrom(partition) === next;
    return goesOn ? next : undefined;
  }

  /** There are no records in between. */
  #pass(from: number, upTo: number): number {
    const { engine, partition, matches } = this.#options;
    return engine.offerAgain(partition, from, upTo, [], matches);
  }

  #offer(batch: Batch, from: number): number {
    const { engine, partition, matches, onRead } = this.#options;
    const { positions } = batch;
    const begin = positions.findIndex((position) => position >= from);
    const end = begin < 0 ? positions.length : begin + TURN_RECORDS;
    const upTo = end < positions.length ? (positions[end] ?? 0) - 1 : batch.upTo;
    const records = begin < 0 ? [] : recordsOf(batch, begin, end);
    const next = engine.offerAgain(partition, from, upTo, records, matches);
    onRead();
    return next;
  }

  #awaitRoom(): Promise<void> {
    return new Promise((resolve) => {
      this.#room = () => {
        this.#room = undefined;
        resolve();
      };
    });
  }
}

function* recordsOf(
  { positions, records }: Batch,
  begin: number,
  end: number,
): Generator<readonly [number, RecordView]> {
  for (let at = begin; at < Math.min(end, positions.length); at++) {
    const bytes = records[at];
    if (bytes === undefined) continue;
    const record = decodeRecord(bytes);
    if (!record.transit) yield [positions[at] ?? 0, record];
  }
}
