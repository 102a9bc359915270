import type { RecordView } from '@eventmesh/event';
import { nextTurn } from '@eventmesh/time';
import { PositionSet } from './position-set.ts';
import { ReadAhead } from './read-ahead.ts';
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
/** Bytes of their records. */
const AHEAD_BYTES_MAX = 16 * 1024 * 1024;
/** What is filled of them when records are as large as those before. */
const FILL = 0.9;
/** Timers that are taken from the book in one turn. */
const TURN_MAX = 2000;

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
  readonly #ahead = new ReadAhead();
  /** The next one of those. */
  #at = 0;
  /** Positions that wait for something else than their time. */
  readonly #aside = new PositionSet();
  /** Fewer when records are large. */
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
    return this.#ahead.at(this.#at)?.dueMs ?? this.#book.nextMs;
  }

  /** The next batch; the same again until `done`. */
  async batch(nowMs: number): Promise<DueTimer[]> {
    if (this.#at === this.#ahead.length) await this.#fill(nowMs);
    const batch: DueTimer[] = [];
    let size = 0;
    for (let at = this.#at; batch.length < BATCH_MAX; at++) {
      const due = this.#ahead.at(at);
      if (due === undefined) break;
      if (!this.#wanted(due.position)) continue;
      const bytes = this.#ahead.record(due.position);
      if (bytes === undefined) continue;
      size += bytes.length;
      if (size > BATCH_BYTES_MAX && batch.length > 0) break;
      // A copy, for who gets a batch may keep some of it for longer than what was read ahead is kept.
      const entry = decodeEntry(Buffer.from(bytes));
      if (entry.kind === 'timer') batch.push({ ...due, record: entry.record });
    }
    return batch;
  }

  /** These are in no batch until they are given back. */
  setAside(due: Iterable<Due>): void {
    for (const { position } of due) this.#aside.add(position);
  }

  giveBack(due: Iterable<Due>): void {
    for (const one of due) {
      this.#aside.delete(one.position);
      this.#book.giveBack(one);
    }
  }

  /** What no longer waits is let go of. */
  done(): void {
    if (this.#ahead.length === 0) return;
    for (let due = this.#ahead.at(this.#at); due !== undefined; due = this.#ahead.at(++this.#at)) {
      if (this.#wanted(due.position)) return;
    }
    this.#ahead.clear();
    this.#at = 0;
  }

  #wanted(position: number): boolean {
    return this.#book.waits(position) && !this.#aside.has(position);
  }

  /** Reads what is due next; of what is too large together only as much as fits. */
  async #fill(nowMs: number): Promise<void> {
    this.#at = 0;
    for (let left = this.#aheadMax; left > 0; left -= TURN_MAX) {
      const due = this.#book.takeDue(nowMs, Math.min(left, TURN_MAX));
      for (const one of due) this.#ahead.push(one);
      if (due.length < TURN_MAX) break;
      await nextTurn();
    }
    if (this.#ahead.length === 0) {
      this.#ahead.release();
      return;
    }
    while (!(await this.#read())) {
      const fitting = Math.min(this.#fitting(), this.#ahead.length >> 1);
      this.#ahead.cut(Math.max(1, fitting), (later) => this.#book.giveBack(later));
      await nextTurn();
    }
    this.#aheadMax = this.#fitting();
  }

  /** How many timers like those that were read are read at once. */
  #fitting(): number {
    const { timers, bytes } = this.#limits;
    const average = this.#ahead.bytes / Math.max(1, this.#ahead.kept);
    return Math.max(1, Math.min(timers, Math.floor((FILL * bytes) / Math.max(1, average))));
  }

  /** False when the records are too large together. */
  async #read(): Promise<boolean> {
    for await (const [, bytes] of this.#log.records(this.#ahead.sorted())) {
      this.#ahead.keep(bytes);
      if (this.#ahead.bytes > this.#limits.bytes && this.#ahead.length > 1) return false;
    }
    return true;
  }
}
