import { RisingSet } from '@eventmesh/collections';
import type { RecordView } from '@eventmesh/event';
import { NO_COUNTS, type Counters } from './counters.ts';
import { isParked, packedBytes, type PartitionCursor, type PositionRange } from './cursor.ts';
import { PositionNotes } from './position-notes.ts';
import type { ParkedMark, PartitionState } from './state.ts';

/** A key of which only the first events are in memory, as far as the progress has to know. */
export interface Parked extends ParkedMark {
  /** First position that may hold one that is not in memory. */
  readonly from: number;
  /** From here on they are told by the key alone; before, each of them is open by itself. */
  readonly unlistedFrom: number;
  /** How many are told by the key alone. */
  readonly unlisted: number;
}

/** Bytes of one partition's cursor that are written in a ms: a large one is written less often. */
const CURSOR_BYTES_PER_MS = 1000;

/**
 * Most packed bytes of a cursor that is written with its delays, 11/16 of a MiB: a store keeps them as
 * base64 and may take no more than a MiB. They are what can be done without: after a restart, what
 * would wait comes at once.
 */
const DELAYS_BYTES_MAX = 704 * 1024;

/**
 * A subscription's progress through one partition. Positions are looked at in rising order; each is
 * open until it is settled. Everything below the floor is settled, and the floor never goes back.
 *
 * Events of a parked key are neither open nor settled: what is known of them is that every event of
 * the key from a position on is unsettled. So they cost nothing, in memory and in the cursor, however
 * many they are.
 */
export class PartitionProgress {
  readonly partition: number;
  /** The books of this partition. */
  readonly counters: Counters;
  /** Everything up to here was looked at, and counted, before the restart. */
  readonly countedUpTo: number;
  /** Everything up to here was looked at before the restart, behind `countedUpTo` what is unsettled. */
  readonly lookedUpTo: number;
  /** Where the books of this partition begin; undefined when an older cursor does not tell. */
  readonly start: number | undefined;
  readonly notes: PositionNotes;
  readonly parked = new Set<Parked>();
  /** How many of them want events back. */
  wanting = 0;
  /** Everything up to here was looked at. */
  #upTo: number;
  readonly #open = new RisingSet();
  /** Open, too, in no order: events of parked keys that were read again. */
  readonly #openAgain = new Set<number>();
  /** Settled before the restart, above the floor; consumed as reading passes them. */
  readonly #restored: PositionRange[];
  /** Keys that were parked before the restart, and from where on. */
  readonly #wereParked: ReadonlyMap<string, number>;
  /** Events of them that reading has not come to since. */
  #stillParked: number;
  #dirty = false;
  #bytes = 0;
  #takenMs = 0;

  /** @param floor First position not settled yet. */
  constructor(
    partition: number,
    floor: number,
    settled: readonly PositionRange[] = [],
    state?: PartitionState,
  ) {
    this.partition = partition;
    this.counters = { ...NO_COUNTS, ...state?.counters };
    this.#upTo = floor - 1;
    this.#restored = [...settled];
    this.notes = new PositionNotes(state);
    this.#wereParked = new Map(state?.parked.map(({ mark, from }) => [mark, from]));
    this.#stillParked = state?.parkedEvents ?? 0;
    this.start = state === undefined ? floor : state.start;
    this.countedUpTo = settled.at(-1)?.to ?? floor - 1;
    this.lookedUpTo = Math.max(this.countedUpTo, state?.looked ?? 0);
  }

  /** First position to read. */
  get next(): number {
    return this.#upTo + 1;
  }

  get openCount(): number {
    return this.#open.size + this.#openAgain.size;
  }

  get dirty(): boolean {
    return this.#dirty || this.notes.changed;
  }

  /** Bytes of the cursor that was taken last, as a store packs it. */
  get cursorBytes(): number {
    return this.#bytes;
  }

  /** Whether a position was settled before a restart, so that it must not be delivered again. */
  wasSettled(position: number, record: RecordView): boolean {
    let [range] = this.#restored;
    while (range !== undefined && range.to < position) {
      this.#restored.shift();
      [range] = this.#restored;
    }
    if (range === undefined || range.from > position) return false;
    if (this.#wereParked.size === 0 || !isParked(this.#wereParked, position, record)) return true;
    this.#stillParked--;
    return false;
  }

  /**
   * From where on every event of a key that was looked at, and that no consumer had in this life,
   * is unsettled: none that was settled before the restart is among them.
   */
  unsettledFrom(mark: string): number {
    return this.#wereParked.get(mark) ?? this.countedUpTo + 1;
  }

  /** Looked at and not settled yet. Positions come in rising order. */
  open(position: number): void {
    this.#open.add(position);
    this.#upTo = position;
  }

  /** An event of a parked key was read again and is open by itself. */
  openAgain(position: number): void {
    this.#openAgain.add(position);
  }

  /** It is told by its key alone from now on. */
  unlist(position: number): void {
    if (!this.#open.delete(position)) this.#openAgain.delete(position);
  }

  /** Everything up to here was looked at; what is neither open nor parked is settled. */
  advance(upTo: number): void {
    if (upTo <= this.#upTo) return;
    this.#upTo = upTo;
    this.#dirty = true;
  }

  /** False when the position was not open. */
  settle(position: number): boolean {
    const was = this.#open.delete(position) || this.#openAgain.delete(position);
    if (was) this.#dirty = true;
    this.notes.settled(position);
    return was;
  }

  get floor(): number {
    let floor = this.#open.first ?? this.#upTo + 1;
    for (const position of this.#openAgain) floor = Math.min(floor, position);
    for (const { from } of this.parked) floor = Math.min(floor, from);
    return floor;
  }

  /** Whether a cursor of this size may be written again. */
  isDue(nowMs: number): boolean {
    const elapsed = nowMs - this.#takenMs;
    // A clock that was set back must not hold it up.
    return elapsed < 0 || elapsed * CURSOR_BYTES_PER_MS >= this.#bytes;
  }

  /** What to write now. Marks the progress clean. */
  take(nowMs: number): PartitionCursor {
    this.#dirty = false;
    const { floor } = this;
    const settled: PositionRange[] = [];
    let after = floor;
    for (const position of this.#openRising()) {
      if (position > after) settled.push({ from: after, to: position - 1 });
      after = position + 1;
    }
    this.#takeTail(after, settled);
    const parked = this.#marks();
    this.#forgetNotes(parked, nowMs);
    const state = this.#state(parked, this.notes.take());
    this.#bytes = packedBytes(floor, settled, state);
    this.#takenMs = nowMs;
    const kept = this.#bytes > DELAYS_BYTES_MAX ? { ...state, delays: [] } : state;
    return { partition: this.partition, floor, settled, state: kept };
  }

  #openRising(): Iterable<number> {
    if (this.#openAgain.size === 0) return this.#open;
    return [...this.#open, ...this.#openAgain].sort((a, b) => a - b);
  }

  /** What is settled behind the last open position: looked at now, or before the restart. */
  #takeTail(after: number, settled: PositionRange[]): void {
    let tail = after <= this.#upTo ? { from: after, to: this.#upTo } : undefined;
    for (const { from, to } of this.#restored) {
      if (to <= this.#upTo) continue;
      if (tail !== undefined && from <= tail.to + 1) tail = { from: tail.from, to };
      else {
        if (tail !== undefined) settled.push(tail);
        tail = { from: Math.max(from, this.next), to };
      }
    }
    if (tail !== undefined) settled.push(tail);
  }

  #state(
    parked: readonly ParkedMark[],
    notes: Pick<PartitionState, 'failures' | 'delays'>,
  ): PartitionState {
    let parkedEvents = Math.max(0, this.#stillParked);
    let unlisted = 0;
    for (const key of this.parked) unlisted += key.unlisted;
    if (this.#upTo >= this.countedUpTo) parkedEvents = 0;
    parkedEvents += unlisted;
    // What is open or parked will be looked at again.
    const considered = this.counters.considered - this.openCount - unlisted;
    const { start } = this;
    const counters = { ...this.counters, considered };
    const looked = Math.max(this.#upTo, this.lookedUpTo);
    const kept = { counters, ...notes, parked, parkedEvents, looked };
    return start === undefined ? kept : { ...kept, start };
  }

  /** By rising position: the keys that are parked, and those that reading has not come to yet. */
  #marks(): ParkedMark[] {
    const marks = new Map<string, number>();
    for (const { mark, from, unlistedFrom, unlisted } of this.parked) {
      if (unlisted > 0) marks.set(mark, Math.max(from, unlistedFrom));
    }
    if (this.#upTo < this.countedUpTo) {
      for (const [mark, from] of this.#wereParked) {
        if (!marks.has(mark)) marks.set(mark, Math.max(from, this.next));
      }
    }
    return [...marks].map(([mark, from]) => ({ mark, from })).sort((a, b) => a.from - b.from);
  }

  /**
   * Drops the notes that nobody will ask for any more; also those of positions that were passed
   * without being opened: expired from the store, or not matched any more.
   */
  #forgetNotes(parked: readonly ParkedMark[], nowMs: number): void {
    const parkedFrom = parked[0]?.from ?? Infinity;
    this.notes.forget(nowMs, (position) => {
      if (position > this.#upTo || position >= parkedFrom) return true;
      return this.#open.has(position) || this.#openAgain.has(position);
    });
  }

  /** A failed write, or books that have changed: the progress has to be written again. */
  markDirty(): void {
    this.#dirty = true;
  }
}
