import { MeshError } from '@eventmesh/errors';
import type { RecordView } from '@eventmesh/event';
import type { AppendRecord, EventStore } from '@eventmesh/store-api';
import { nextTurn } from '@eventmesh/time';
import { TimerBook } from './timer-book.ts';
import { decodeEntry, encodeDecision, type Decision } from './timer-entry.ts';

const PREFIX = 'timers.';
/** Numbers the decisions in the log of timers. */
const DECIDER = 'decisions';
/** Positions between two wanted ones that are read over rather than jumped over. */
const READ_OVER_MAX = 1000;
const READ_AHEAD_BYTES = 512 * 1024;

type WhenGone = 'throw' | 'skip';

/** The log of timers of one tenant: one partition, from which only what is done with is dropped. */
export class TimerLog {
  readonly tenant: string;
  readonly name: string;
  readonly #store: EventStore;
  readonly #site: string;

  constructor(store: EventStore, site: string, tenant: string) {
    this.tenant = tenant;
    this.name = PREFIX + tenant;
    this.#store = store;
    this.#site = site;
  }

  /** Tenants that have a log of timers. */
  static async tenants(store: EventStore): Promise<string[]> {
    const logs = await store.listLogs();
    return logs
      .filter(({ spec }) => spec.name.startsWith(PREFIX))
      .map(({ spec }) => spec.name.slice(PREFIX.length));
  }

  async ensure(duplicateWindow: number): Promise<void> {
    const { name } = this;
    const kept = { retentionMs: 0, retentionBytes: 0 };
    await this.#store.ensureLog({ name, partitions: 1, ...kept, duplicateWindow });
  }

  /**
   * Reads the whole log as it is now.
   * @param publishedUpTo see `TimerBook`
   * @param visit told of each timer, also of those that are done with
   */
  async load(
    publishedUpTo: (partition: number) => number,
    visit?: (position: number, record: RecordView) => void,
    signal?: AbortSignal,
  ): Promise<TimerBook> {
    const book = new TimerBook(publishedUpTo);
    const decided = await this.#store.producerSequence(this.name, 0, DECIDER);
    await this.#read(book, { from: 0, stopAtEnd: true, visit, signal });
    book.decided(decided);
    return book;
  }

  /** Goes on reading where the book ends, until the signal. */
  async follow(book: TimerBook, changed: () => void, signal: AbortSignal): Promise<void> {
    await this.#read(book, { from: book.upTo + 1, stopAtEnd: false, changed, signal });
  }

  async #read(
    book: TimerBook,
    options: {
      readonly from: number;
      readonly stopAtEnd: boolean;
      readonly visit?: ((position: number, record: RecordView) => void) | undefined;
      readonly changed?: () => void;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void> {
    const { from: position, stopAtEnd, visit, changed, signal } = options;
    const from = { kind: 'position', position } as const;
    const where = { log: this.name, partition: 0, from, stopAtEnd };
    for await (const item of this.#store.read(
      signal === undefined ? where : { ...where, signal },
    )) {
      if (item.kind === 'gap') {
        // Only what is done with is ever dropped, so it may be missing.
        book.reached(item.to);
        continue;
      }
      if (item.kind !== 'batch') continue;
      for (const [index, bytes] of item.records.entries()) {
        const at = item.positions[index] ?? 0;
        const entry = decodeEntry(bytes);
        if (entry.kind === 'timer') {
          visit?.(at, entry.record);
          book.add(at, entry.dueMs);
        } else {
          book.reached(at);
          book.decide(entry.decision);
        }
      }
      book.reached(item.upTo);
      changed?.();
      await nextTurn();
    }
  }

  /**
   * Reads timers at these positions, in few sweeps through the log.
   * @param bytesMax gives up beyond so many bytes of records
   * @param gone what to do about those that are done with and dropped from the log by now
   * @returns undefined when there would be more
   */
  async timersAt(
    positions: readonly number[],
    bytesMax = Infinity,
    gone: WhenGone = 'throw',
  ): Promise<ReadonlyMap<number, RecordView> | undefined> {
    const found = new Map<number, RecordView>();
    let size = 0;
    for await (const [position, bytes] of this.records(positions, gone)) {
      const entry = decodeEntry(bytes);
      if (entry.kind !== 'timer') throw this.#lost(position);
      size += entry.record.event.length;
      if (size > bytesMax && found.size > 0) return undefined;
      found.set(position, entry.record);
    }
    return found;
  }

  /**
   * The records at these positions, in the order of the log, in few sweeps through it.
   * @throws MeshError DataLoss when one is gone.
   */
  async *records(
    positions: ArrayLike<number>,
    gone: WhenGone = 'throw',
  ): AsyncGenerator<[number, Uint8Array]> {
    const wanted = Float64Array.from(positions).sort();
    for (let start = 0; start < wanted.length;) {
      let end = start + 1;
      while (end < wanted.length && gap(wanted, end) <= READ_OVER_MAX) end++;
      yield* this.#sweep(wanted.subarray(start, end), gone);
      start = end;
    }
  }

  async *#sweep(wanted: Float64Array, gone: WhenGone): AsyncGenerator<[number, Uint8Array]> {
    const from = { kind: 'position', position: wanted[0] ?? 0 } as const;
    const options = { from, stopAtEnd: true, readAheadBytes: READ_AHEAD_BYTES };
    let next = 0;
    for await (const item of this.#store.read({ log: this.name, partition: 0, ...options })) {
      if (item.kind === 'gap' && gone === 'skip') {
        while ((wanted[next] ?? Infinity) <= item.to) next++;
        if (next === wanted.length) return;
      }
      if (item.kind !== 'batch') continue;
      for (const [index, bytes] of item.records.entries()) {
        const position = item.positions[index] ?? 0;
        if (position !== wanted[next]) continue;
        next++;
        yield [position, bytes];
      }
      if (next === wanted.length) return;
      if (item.upTo >= (wanted[next] ?? 0)) break;
      await nextTurn();
    }
    throw this.#lost(wanted[next] ?? 0);
  }

  #lost(position: number): MeshError {
    return new MeshError('DataLoss', `${this.name}: the timer at position ${position} is gone`);
  }

  /**
   * Stores a decision, and timers with it, if no other decision has been made since.
   * @throws MeshError Aborted when one has, or when it is not known.
   */
  async decide(decision: Decision, nowMs: number, moved: readonly AppendRecord[] = []) {
    const { sequence } = decision;
    const bytes = encodeDecision(this.tenant, this.#site, nowMs, decision);
    const { duplicates } = await this.#store.append({
      log: this.name,
      partition: 0,
      records: [...moved, { bytes }],
      producer: { id: DECIDER, previous: sequence - 1, last: sequence },
    });
    if (duplicates.length === 0) return;
    // Somebody has stored a decision of this number: perhaps we, in an attempt that seemed to fail.
    throw new MeshError('Aborted', `${this.name}: decision ${sequence} was made elsewhere`);
  }

  trim(before: number): Promise<void> {
    return this.#store.trim(this.name, 0, before);
  }
}

const gap = (wanted: Float64Array, index: number): number =>
  (wanted[index] ?? 0) - (wanted[index - 1] ?? 0);
