import { PositionSet } from './position-set.ts';
import type { Decision, Firing } from './timer-entry.ts';
import { TimerHeap } from './timer-heap.ts';

/** Firings of one decision that are not known to be published yet. */
export interface OpenFiring extends Firing {
  readonly sequence: number;
}

/** A timer that has been taken. */
export interface Due {
  readonly dueMs: number;
  readonly position: number;
}

/** A log that is this much longer than what waits in it is worth tidying. */
const WASTE_FACTOR = 4;
const WASTE_MIN = 10_000;

/** A log of timers is longer than this only when more than so many wait. */
export const fullLog = (pending: number): number => WASTE_MIN + (WASTE_FACTOR + 1) * pending;

/**
 * The timers of a tenant as its log tells them, record by record and in order: pure state, without a
 * clock or a store. Memory is 16 bytes for each timer that waits and a bit for each position of the log.
 */
export class TimerBook {
  readonly #heap = new TimerHeap();
  /** Positions that wait, whether or not they are in the heap. */
  readonly #waiting = new PositionSet();
  readonly #open = new Set<OpenFiring>();
  readonly #publishedUpTo: (partition: number) => number;
  /** Nothing below it waits. */
  #low = 0;
  #upTo = 0;
  #sequence = 0;

  /** @param publishedUpTo the last decision whose firing for a partition is in the log of events */
  constructor(publishedUpTo: (partition: number) => number) {
    this.#publishedUpTo = publishedUpTo;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Of the last decision. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The log is read up to here. */
  get upTo(): number {
    return this.#upTo;
  }

  get nextMs(): number | undefined {
    this.#skipGone();
    return this.#heap.nextMs;
  }

  /** Decided and not yet published, oldest decision first. */
  get open(): readonly OpenFiring[] {
    return [...this.#open].sort((a, b) => a.sequence - b.sequence || a.partition - b.partition);
  }

  waits(position: number): boolean {
    return this.#waiting.has(position);
  }

  /** A timer of the log. */
  add(position: number, dueMs: number): void {
    if (position <= this.#upTo) return;
    this.reached(position);
    this.#waiting.add(position);
    this.#heap.push(dueMs, position);
  }

  /** A decision, from the log or just stored: the same one twice is one. */
  decide({ sequence, fire, drop }: Decision): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    for (const firing of fire) {
      for (const position of firing.positions) this.#waiting.delete(position);
      if (sequence > this.#publishedUpTo(firing.partition)) this.#open.add({ ...firing, sequence });
    }
    for (const position of drop) this.#waiting.delete(position);
  }

  /** That many decisions were made, though the log may have forgotten the last of them. */
  decided(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** A firing is in the log of events. */
  published(firing: OpenFiring): void {
    this.#open.delete(firing);
  }

  reached(position: number): void {
    this.#upTo = Math.max(this.#upTo, position);
  }

  /** Takes timers that are due, soonest first; they wait until a decision says otherwise. */
  takeDue(nowMs: number, max: number): Due[] {
    const due: Due[] = [];
    while (due.length < max) {
      const dueMs = this.nextMs;
      if (dueMs === undefined || dueMs > nowMs) break;
      const position = this.#heap.pop();
      if (position !== undefined) due.push({ dueMs, position });
    }
    return due;
  }

  /** One that was taken and not decided about. */
  giveBack({ dueMs, position }: Due): void {
    this.#heap.push(dueMs, position);
  }

  /** Everything below may be dropped from the log. */
  get floor(): number {
    this.#low = this.#waiting.next(this.#low) ?? this.#upTo + 1;
    let floor = this.#low;
    for (const { positions } of this.#open) {
      for (const position of positions) floor = Math.min(floor, position);
    }
    return floor;
  }

  /**
   * The oldest timers, when they keep a log that is mostly done with: stored anew at its end they let
   * go of it. Empty while it is not worth it.
   */
  toMove(max: number): number[] {
    const length = this.#upTo - this.floor + 1;
    if (length <= WASTE_MIN + WASTE_FACTOR * this.#waiting.size) return [];
    const positions: number[] = [];
    let at = this.#waiting.next(this.#low);
    for (; at !== undefined && positions.length < max; at = this.#waiting.next(at + 1)) {
      positions.push(at);
    }
    return positions;
  }

  /** Timers that were cancelled or moved leave their trace in the heap; it must not outgrow them. */
  #skipGone(): void {
    if (this.#heap.size > 2 * this.#waiting.size + 1024) {
      this.#heap.retain((position) => this.#waiting.has(position));
    }
    for (let next = this.#heap.peek(); next !== undefined; next = this.#heap.peek()) {
      if (this.#waiting.has(next)) return;
      this.#heap.pop();
    }
  }
}
