import type { Entry } from './entry.ts';
import { DueHeap } from './queues.ts';

/**
 * Events that are given up and whose dead letters are not durable yet. They stay held, and no
 * consumer gets them any more; a letter that could not be written is written later.
 */
export class Burials {
  #due: Entry[] = [];
  readonly #later = new DueHeap<Entry>();
  /** Whose letters are being written. */
  readonly #writing = new Set<Entry>();

  *values(): Generator<Entry> {
    yield* this.#due;
    yield* this.#later.values();
    yield* this.#writing;
  }

  add(entry: Entry): void {
    this.#due.push(entry);
  }

  /** Its letter could not be written. */
  postpone(entry: Entry, dueMs: number): void {
    this.#writing.delete(entry);
    this.#later.push(dueMs, entry);
  }

  /** Its letter is durable. */
  end(entry: Entry): void {
    this.#writing.delete(entry);
  }

  /** Those whose letters are to be written now. */
  take(nowMs: number): readonly Entry[] {
    for (let entry = this.#later.popDue(nowMs); entry; entry = this.#later.popDue(nowMs)) {
      this.#due.push(entry);
    }
    if (this.#due.length === 0) return NONE;
    const due = this.#due;
    this.#due = [];
    for (const entry of due) this.#writing.add(entry);
    return due;
  }

  get nextDue(): number | undefined {
    return this.#later.nextDue;
  }
}

const NONE: readonly Entry[] = Object.freeze([]);
