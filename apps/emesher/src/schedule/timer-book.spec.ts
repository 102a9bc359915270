import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TimerBook, fullLog, type Due } from './timer-book.ts';
import type { Decision } from './timer-entry.ts';

const NEVER = () => 0;
const positions = (due: readonly Due[]) => due.map(({ position }) => position);

function bookOf(due: readonly number[]): TimerBook {
  const book = new TimerBook(NEVER);
  for (const [index, dueMs] of due.entries()) book.add(index + 1, dueMs);
  return book;
}

const fire = (sequence: number, ...at: number[]): Decision => ({
  sequence,
  fire: [{ partition: 0, positions: at }],
  drop: [],
});
const drop = (sequence: number, ...at: number[]): Decision => ({ sequence, fire: [], drop: at });

describe('the book of timers', () => {
  it('takes what is due, soonest first, and no more than asked for', () => {
    const book = bookOf([30, 10, 20, 40]);
    expect(book.nextMs).toBe(10);
    expect(book.takeDue(9, 10)).toEqual([]);
    expect(positions(book.takeDue(30, 2))).toEqual([2, 3]);
    expect(positions(book.takeDue(30, 10))).toEqual([1]);
    expect(book.pending).toBe(4);
  });

  it('gives a timer again when nothing was decided about it', () => {
    const book = bookOf([10, 20]);
    for (const due of book.takeDue(20, 2)) book.giveBack(due);
    expect(positions(book.takeDue(20, 2))).toEqual([1, 2]);
  });

  it('does not give a timer that was cancelled before it was due', () => {
    const book = bookOf([10, 20]);
    book.decide(drop(1, 1));
    expect(book.nextMs).toBe(20);
    expect(positions(book.takeDue(20, 2))).toEqual([2]);
  });

  it('takes a decision that it made and then reads in the log for one', () => {
    const book = bookOf([10, 20]);
    book.decide(fire(1, 1));
    const [firing] = book.open;
    if (firing !== undefined) book.published(firing);
    book.decide(fire(1, 1));
    expect(book.open).toEqual([]);
    expect(book.sequence).toBe(1);
  });

  it('holds what was decided and is not in the log of events, and knows what is', () => {
    const book = new TimerBook((partition) => (partition === 0 ? 1 : 0));
    for (const position of [1, 2, 3]) book.add(position, 10);
    book.decide(fire(1, 1));
    book.decide({ sequence: 2, fire: [{ partition: 1, positions: [3] }], drop: [] });
    expect(book.open).toEqual([{ sequence: 2, partition: 1, positions: [3] }]);
    expect(book.pending).toBe(1);
  });

  it('lets go of the log up to the first timer that waits or is not published', () => {
    const book = bookOf([50, 10, 20, 30]);
    expect(book.floor).toBe(1);
    book.decide(fire(1, 2));
    book.decide(drop(2, 1, 3));
    expect(book.floor).toBe(2);
    for (const firing of book.open) book.published(firing);
    expect(book.floor).toBe(4);
    book.decide(drop(3, 4));
    expect(book.floor).toBe(5);
    book.reached(9);
    expect(book.floor).toBe(10);
  });

  it('moves the oldest timers once they hold a log that is mostly done with', () => {
    const book = bookOf([1000, 1000]);
    for (let position = 3; position <= 20_000; position++) book.add(position, 10);
    expect(book.toMove(10)).toEqual([]);
    const done = Array.from({ length: 19_997 }, (_, index) => index + 3);
    book.decide(drop(1, ...done));
    expect(book.toMove(10)).toEqual([1, 2, 20_000]);
    expect(book.toMove(1)).toEqual([1]);
    book.decide(drop(2, 1, 2));
    expect(book.toMove(10)).toEqual([]);
    expect(fullLog(1)).toBeGreaterThan(20_000 - book.floor);
  });

  it('gives each timer exactly once, whatever is cancelled, moved and read again', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), dueMs: fc.nat(100) }),
      fc.record({
        kind: fc.constant('fire' as const),
        nowMs: fc.nat(100),
        max: fc.integer({ min: 1, max: 5 }),
        cut: fc.boolean(),
        early: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('cancel' as const), pick: fc.nat(1000) }),
      fc.record({ kind: fc.constant('move' as const), pick: fc.nat(1000) }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const world = new World();
        for (const one of steps) world.step(one);
        world.step({ kind: 'fire', nowMs: 100, max: 1000, cut: false, early: false });
        const ended = [...world.fired, ...world.cancelled].sort((a, b) => a - b);
        expect(ended).toEqual(world.made);
      }),
      { numRuns: 300 },
    );
  });
});

type Step =
  | { readonly kind: 'add'; readonly dueMs: number }
  | Fire
  | { readonly kind: 'cancel' | 'move'; readonly pick: number }
  | { readonly kind: 'restart' };

interface Fire {
  readonly kind: 'fire';
  readonly nowMs: number;
  readonly max: number;
  /** It ends between the decision and what follows from it. */
  readonly cut: boolean;
  /** It is decided before what was decided earlier is published. */
  readonly early: boolean;
}

/** A log, a log of events, and an owner that may end at any step and be followed by another. */
class World {
  readonly made: number[] = [];
  readonly fired: number[] = [];
  readonly cancelled: number[] = [];
  /** By position from 1; a timer has the number it was made with. */
  readonly #log: ({ timer: number; dueMs: number } | Decision)[] = [];
  #trimmed = 1;
  #published = 0;
  #book = new TimerBook(() => this.#published);

  step(step: Step): void {
    if (step.kind === 'add') this.#add(step.dueMs);
    else if (step.kind === 'fire') this.#fire(step);
    else if (step.kind === 'restart') this.#restart();
    else this.#pick(step.kind, step.pick);
    this.#trimmed = this.#book.floor;
  }

  #add(dueMs: number): void {
    const timer = this.made.length;
    this.made.push(timer);
    this.#log.push({ timer, dueMs });
    this.#book.add(this.#log.length, dueMs);
  }

  #fire({ nowMs, max, cut, early }: Fire): void {
    if (!early) this.#publish();
    const due = positions(this.#book.takeDue(nowMs, max));
    if (due.length > 0) this.#decide(fire(this.#book.sequence + 1, ...due));
    if (!cut) this.#publish();
  }

  #publish(): void {
    for (const firing of this.#book.open) {
      for (const position of firing.positions) this.fired.push(this.#timer(position).timer);
      this.#published = firing.sequence;
      this.#book.published(firing);
    }
  }

  #pick(kind: 'cancel' | 'move', pick: number): void {
    const waiting = this.#log.flatMap((entry, index) =>
      'timer' in entry && this.#book.waits(index + 1) ? [index + 1] : [],
    );
    const position = waiting[pick % Math.max(1, waiting.length)];
    if (position === undefined) return;
    const timer = this.#timer(position);
    if (kind === 'cancel') this.cancelled.push(timer.timer);
    else this.#log.push(timer);
    if (kind === 'move') this.#book.add(this.#log.length, timer.dueMs);
    this.#decide(drop(this.#book.sequence + 1, position));
  }

  #decide(decision: Decision): void {
    this.#log.push(decision);
    this.#book.decide(decision);
    this.#book.reached(this.#log.length);
  }

  #restart(): void {
    const { sequence } = this.#book;
    const book = new TimerBook(() => this.#published);
    for (const [index, entry] of this.#log.entries()) {
      if (index + 1 < this.#trimmed) continue;
      if ('timer' in entry) book.add(index + 1, entry.dueMs);
      else book.decide(entry);
      book.reached(index + 1);
    }
    book.decided(sequence);
    this.#book = book;
    this.#publish();
  }

  #timer(position: number): { timer: number; dueMs: number } {
    const entry = this.#log[position - 1];
    if (entry === undefined || !('timer' in entry)) throw new Error(`no timer at ${position}`);
    if (position < this.#trimmed) throw new Error(`the timer at ${position} is trimmed`);
    return entry;
  }
}
