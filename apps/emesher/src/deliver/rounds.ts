/** Gives each item of a set its turn once a round, spread evenly over the calls that make a round. */
export class Rounds<T> {
  readonly #items: ReadonlySet<T>;
  readonly #calls: number;
  #turns: Iterator<T, undefined>;
  /** Turns that are due, with what is left over of the last call. */
  #due = 0;

  /** @param items May change between calls. @param calls In a round; at least 1. */
  constructor(items: ReadonlySet<T>, calls: number) {
    this.#items = items;
    this.#calls = Math.max(1, calls);
    this.#turns = items.values();
  }

  /** Those whose turn it is now. */
  next(): T[] {
    const now: T[] = [];
    this.#due += this.#items.size / this.#calls;
    for (; this.#due >= 1; this.#due--) {
      let turn = this.#turns.next();
      if (turn.done === true) {
        this.#turns = this.#items.values();
        turn = this.#turns.next();
      }
      if (turn.done !== true) now.push(turn.value);
    }
    return now;
  }
}
