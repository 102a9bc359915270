import type { Due } from './timer-book.ts';

export interface Burial extends Due {
  /** For the counters. */
  readonly outcome: string;
}

/**
 * Timers that are given up: each is done with only once its letter is durable, which takes as long as
 * the dead letters of the tenant are at their quota or their store is away. Meanwhile those that come
 * due are fired. One group is being written at a time; what dies besides it is looked at again behind
 * it, so that no more than one group is held in memory.
 */
export class Burials {
  readonly #changed: () => void;
  #writing: readonly Burial[] = [];
  #durable: readonly Burial[] = [];
  #later: Due[] = [];

  /** @param changed told when a group is durable, or will never be */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get writing(): boolean {
    return this.#writing.length > 0;
  }

  get idle(): boolean {
    return !this.writing && this.#durable.length === 0 && this.#later.length === 0;
  }

  /** @param write resolves once their letters are durable; rejects when that was given up */
  add(group: readonly Burial[], write: () => Promise<void>): void {
    if (this.writing || this.#durable.length > 0) {
      this.#later.push(...group);
      return;
    }
    this.#writing = group;
    const over = (durable: boolean) => {
      if (durable) this.#durable = group;
      else this.#later.push(...group);
      this.#writing = [];
      this.#changed();
    };
    write().then(
      () => over(true),
      () => over(false),
    );
  }

  /** What is durable now, and what has to be looked at again. */
  take(): { readonly durable: readonly Burial[]; readonly again: readonly Due[] } {
    if (this.writing) return { durable: [], again: [] };
    const taken = { durable: this.#durable, again: this.#later };
    this.#durable = [];
    this.#later = [];
    return taken;
  }
}
