import type { RecordView } from '@eventmesh/event';
import type { Due, TimerBook } from './timer-book.ts';
import { decodeEntry } from './timer-entry.ts';
import type { TimerLog } from './timer-log.ts';

/** A timer that is due, with what was published. */
export interface DueTimer extends Due {
  readonly record: RecordView;
}

/** Timers of one decision. */
const BATCH_MAX = 500;
/** Bytes of records of one decision. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Timers that are read ahead. */
const AHEAD_MAX = 100_000;
/** Bytes of them. */
const AHEAD_BYTES_MAX = 32 * 1024 * 1024;
/** What a record takes in memory besides its bytes. */
const RECORD_OVERHEAD_BYTES = 128;

/**
 * The timers that are due, soonest first, in batches for decisions. In their log they lie in the order
 * in which they were scheduled, which need not have to do with when they are due: after a long stop,
 * to find each batch by itself would be to read the whole log for each. So many are read at once, in
 * one go through the log, and wait here.
 */
export class DueTimers {
  readonly #log: TimerLog;
  readonly #book: TimerBook;
  readonly #limits: { readonly timers: number; readonly bytes: number };
  #due: Due[] = [];
  /** The next one of `#due`. */
  #at = 0;
  readonly #records = new Map<number, Uint8Array>();
  /** Positions that wait for something else than their time. */
  readonly #aside = new Set<number>();
  /** Shrinks when records are large. */
  #aheadMax: number;

  constructor(
    log: TimerLog,
    book: TimerBook,
    limits = { timers: AHEAD_MAX, bytes: AHEAD_BYTES_MAX },
  ) {
    this.#log = log;
    this.#book = book;
    this.#limits = limits;
    this.#aheadMax = limits.timers;
  }

  /** When the next one is due; undefined when there is none. */
  get nextMs(): number | undefined {
    return this.#due[this.#at]?.dueMs ?? this.#book.nextMs;
  }

  /** The next batch; the same again until `done`. */
  async batch(nowMs: number): Promise<DueTimer[]> {
    if (this.#at === this.#due.length) await this.#fill(nowMs);
    const batch: DueTimer[] = [];
    let size = 0;
    for (let at = this.#at; at < this.#due.length && batch.length < BATCH_MAX; at++) {
      const due = this.#due[at];
      if (due === undefined || !this.#wanted(due.position)) continue;
      const bytes = this.#records.get(due.position);
      if (bytes === undefined) continue;
      size += bytes.length;
      if (size > BATCH_BYTES_MAX && batch.length > 0) break;
      const entry = decodeEntry(bytes);
      if (entry.kind === 'timer') batch.push({ ...due, record: entry.record });
    }
    return batch;
  }

  /** These are in no batch until they are given back. */
  setAside(due: readonly Due[]): void {
    for (const { position } of due) this.#aside.add(position);
  }

  giveBack(due: readonly Due[]): void {
    for (const { position } of due) this.#aside.delete(position);
    this.#book.giveBack(due);
  }

  /** What no longer waits is let go of. */
  done(): void {
    for (; this.#at < this.#due.length; this.#at++) {
      const { position } = this.#due[this.#at] ?? { position: 0 };
      if (this.#wanted(position)) return;
      this.#records.delete(position);
    }
    this.#due = [];
    this.#at = 0;
  }

  #wanted(position: number): boolean {
    return this.#book.waits(position) && !this.#aside.has(position);
  }

  /** Reads what is due next; of what is too large together only the first half, or half of that. */
  async #fill(nowMs: number): Promise<void> {
    let due = this.#book.takeDue(nowMs, this.#aheadMax);
    const taken = due.length;
    const wanted = new Set(due.map(({ position }) => position));
    let size = 0;
    for await (const [position, bytes] of this.#log.records([...wanted])) {
      if (!wanted.has(position)) continue;
      // A copy, for a record of a store may keep many others in memory.
      this.#records.set(position, Buffer.from(bytes));
      size += sizeOf(bytes);
      while (size > this.#limits.bytes && due.length > 1) {
        const later = due.slice(due.length >> 1);
        due = due.slice(0, due.length >> 1);
        this.#book.giveBack(later);
        for (const one of later) {
          size -= sizeOf(this.#records.get(one.position));
          this.#records.delete(one.position);
          wanted.delete(one.position);
        }
      }
    }
    const { timers } = this.#limits;
    this.#aheadMax = due.length < taken ? due.length : Math.min(timers, 2 * this.#aheadMax);
    this.#due = due;
    this.#at = 0;
  }
}

const sizeOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 0 : bytes.length + RECORD_OVERHEAD_BYTES;
