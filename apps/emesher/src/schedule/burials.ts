import type { Due } from './timer-book.ts';
import { TimerHeap } from './timer-heap.ts';

export interface Burial extends Due {
  /** For the counters. */
  readonly outcome: string;
}

/** Timers that are looked at again at once; more would be an object each. */
const AGAIN_MAX = 10_000;

/**
 * Timers that are given up: each is done with only once its letter is durable, which takes as long as
 * the dead letters of the tenant are at their quota or their store is away. Meanwhile those that come
 * due are fired. One group is being written at a time; what dies besides it is looked at again behind
 * it: of those, however many they are, 16 bytes each are held in memory.
 */
export class Burials {
  readonly #changed: () => void;
  #writing: readonly Burial[] = [];
  #durable: readonly Burial[] = [];
  readonly #later = new TimerHeap();

  /** @param changed told when a group is durable, or will never be */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get writing(): boolean {
    return this.#writing.length > 0;
  }

  get idle(): boolean {
    return !this.writing && this.#durable.length === 0 && this.#later.size === 0;
  }

  /** @param write resolves once their letters are durable; rejects when that was given up */
  add(group: readonly Burial[], write: () => Promise<void>): void {
    if (this.writing || this.#durable.length > 0) {
      this.#wait(group);
      return;
    }
    this.#writing = group;
    const over = (durable: boolean) => {
      if (durable) this.#durable = group;
      else this.#wait(group);
      this.#writing = [];
      this.#changed();
    };
    write().then(
      () => over(true),
      () => over(false),
    );
  }

  /** What is durable now, and what has to be looked at again: the soonest ones, and more next time. */
  take(): { readonly durable: readonly Burial[]; readonly again: readonly Due[] } {
    if (this.writing) return { durable: [], again: [] };
    const durable = this.#durable;
    this.#durable = [];
    const again: Due[] = [];
    while (again.length < AGAIN_MAX) {
      const dueMs = this.#later.nextMs;
      const position = this.#later.pop();
      if (dueMs === undefined || position === undefined) break;
      again.push({ dueMs, position });
    }
    return { durable, again };
  }

  #wait(group: readonly Burial[]): void {
    for (const { dueMs, position } of group) this.#later.push(dueMs, position);
  }
}
