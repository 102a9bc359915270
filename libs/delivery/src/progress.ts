import { NO_COUNTS, type Counters } from './counters.ts';
import type { PartitionState } from './state.ts';

/** Both ends included. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

/** A partition's progress as it is written. */
export interface PartitionCursor {
  readonly partition: number;
  /** First position not settled. */
  readonly floor: number;
  /** Settled above the floor, rising. */
  readonly settled: PositionRange[];
  readonly state: PartitionState;
}

/** Most failure counts that a cursor keeps; an event beyond them starts from none after a restart. */
export const CURSOR_FAILURES_MAX = 4096;

/**
 * A subscription's progress through one partition. Positions are looked at in rising order; each is
 * open until it is settled. Everything below the floor is settled, and the floor never goes back.
 */
export class PartitionProgress {
  readonly partition: number;
  /** The books of this partition. */
  readonly counters: Counters;
  /** Everything up to here was looked at, and counted, before the restart. */
  readonly countedUpTo: number;
  /** Where the books of this partition begin; undefined when an older cursor does not tell. */
  readonly start: number | undefined;
  /** Everything up to here was looked at. */
  #upTo: number;
  /**
   * Open positions; a Map because its iteration order, here the rising one, is guaranteed. Without the
   * events themselves: the tables that a map has outgrown would keep them from being freed.
   */
  readonly #open = new Map<number, true>();
  /** Settled before the restart, above the floor; consumed as reading passes them. */
  readonly #restored: PositionRange[];
  /** Failures of open positions, and of those that reading has not come to since the restart. */
  readonly #failures: Map<number, number>;
  #dirty = false;

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
    this.#failures = new Map(state?.failures);
    this.start = state === undefined ? floor : state.start;
    this.countedUpTo = settled.at(-1)?.to ?? floor - 1;
  }

  /** First position to read. */
  get next(): number {
    return this.#upTo + 1;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  /** Whether a position was settled before a restart, so that it must not be delivered again. */
  wasSettled(position: number): boolean {
    let [range] = this.#restored;
    while (range !== undefined && range.to < position) {
      this.#restored.shift();
      [range] = this.#restored;
    }
    return range !== undefined && range.from <= position;
  }

  /** Looked at and not settled yet. Positions come in rising order. */
  open(position: number): void {
    this.#open.set(position, true);
    this.#upTo = position;
  }

  /** Everything up to here was looked at; what is not open is settled. */
  advance(upTo: number): void {
    if (upTo <= this.#upTo) return;
    this.#upTo = upTo;
    this.#dirty = true;
  }

  /** False when the position was not open. */
  settle(position: number): boolean {
    const was = this.#open.delete(position);
    if (was) this.#dirty = true;
    if (this.#failures.size > 0) this.#failures.delete(position);
    return was;
  }

  /** Failures so far, those before a restart among them. */
  failures(position: number): number {
    return this.#failures.size === 0 ? 0 : (this.#failures.get(position) ?? 0);
  }

  failed(position: number, failures: number): void {
    this.#failures.set(position, failures);
    this.#dirty = true;
  }

  get floor(): number {
    const first = this.#open.keys().next();
    return first.done === true ? this.#upTo + 1 : first.value;
  }

  /**
   * What to write now, with at most `rangesMax` settled ranges: what does not fit is delivered, and
   * counted, again after a crash. Marks the progress clean.
   */
  take(rangesMax: number): PartitionCursor {
    this.#dirty = false;
    const { floor } = this;
    const settled: PositionRange[] = [];
    let after = floor;
    for (const position of this.#open.keys()) {
      if (settled.length === rangesMax) break;
      if (position > after) settled.push({ from: after, to: position - 1 });
      after = position + 1;
    }
    if (settled.length < rangesMax) this.#takeTail(after, rangesMax, settled);
    return { partition: this.partition, floor, settled, state: this.#state() };
  }

  /** What is settled behind the last open position: looked at now, or before the restart. */
  #takeTail(after: number, rangesMax: number, settled: PositionRange[]): void {
    let tail = after <= this.#upTo ? { from: after, to: this.#upTo } : undefined;
    for (const { from, to } of this.#restored) {
      if (to <= this.#upTo) continue;
      if (tail !== undefined && from <= tail.to + 1) tail = { from: tail.from, to };
      else {
        if (tail !== undefined) settled.push(tail);
        tail = { from: Math.max(from, this.next), to };
      }
      if (settled.length === rangesMax) return;
    }
    if (tail !== undefined) settled.push(tail);
  }

  #state(): PartitionState {
    const failures: [number, number][] = [];
    for (const [position, count] of this.#failures) {
      // Passed without being opened: expired from the store, or not matched any more.
      if (position <= this.#upTo && !this.#open.has(position)) this.#failures.delete(position);
      else if (failures.length < CURSOR_FAILURES_MAX) failures.push([position, count]);
    }
    // What is open will be looked at again.
    const considered = this.counters.considered - this.#open.size;
    const { start } = this;
    const counters = { ...this.counters, considered };
    return { counters, failures, ...(start === undefined ? {} : { start }) };
  }

  /** A failed write: the progress has to be written again. */
  markDirty(): void {
    this.#dirty = true;
  }
}
