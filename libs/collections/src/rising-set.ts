const CAPACITY_MIN = 16;

/**
 * A set of whole numbers from 0 to 2^53 - 1 that are added in rising order and removed in any, most of
 * them from below. Iterates in rising order. For numbers that come and go by the hundred thousand a
 * second: see `NumberMap` for what a `Set` does with these.
 *
 * One flat array; those that were removed in the midst stay as a mark until there is no room, and are
 * then squeezed out.
 */
export class RisingSet implements Iterable<number> {
  #numbers = new Float64Array(CAPACITY_MIN);
  /** Where the lowest one lies, which was not removed. */
  #head = 0;
  #tail = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The lowest one. */
  get first(): number | undefined {
    return this.#size === 0 ? undefined : this.#numbers[this.#head];
  }

  /** @throws RangeError when it is not above all that were added since the set was empty. */
  add(number: number): void {
    if (this.#tail > this.#head && number <= plain(this.#numbers[this.#tail - 1] ?? NaN)) {
      throw new RangeError(`${number} does not rise`);
    }
    if (this.#tail === this.#numbers.length) this.#squeeze();
    this.#numbers[this.#tail++] = number;
    this.#size++;
  }

  has(number: number): boolean {
    const at = this.#search(number);
    return at < this.#tail && this.#numbers[at] === number;
  }

  /** False when it was not there. */
  delete(number: number): boolean {
    const at = this.#numbers[this.#head] === number ? this.#head : this.#search(number);
    if (at >= this.#tail || this.#numbers[at] !== number) return false;
    this.#numbers[at] = marked(number);
    this.#size--;
    while (this.#head < this.#tail && (this.#numbers[this.#head] ?? 0) < 0) this.#head++;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
    return true;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let at = this.#head; at < this.#tail; at++) {
      const number = this.#numbers[at] ?? 0;
      if (number >= 0) yield number;
    }
  }

  /** Where the first one lies that is not below, whether it was removed or not; else the tail. */
  #search(number: number): number {
    let low = this.#head;
    let high = this.#tail;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (plain(this.#numbers[middle] ?? NaN) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Makes room for as many as there are, so that each number is moved seldom. */
  #squeeze(): void {
    const needed = Math.max(CAPACITY_MIN, 2 ** Math.ceil(Math.log2(this.#size * 2 + 1)));
    const { length } = this.#numbers;
    // In place, unless it is too small, or far too large.
    const fits = needed <= length && needed * 8 > length;
    const numbers = fits ? this.#numbers : new Float64Array(needed);
    let tail = 0;
    for (let at = this.#head; at < this.#tail; at++) {
      const number = this.#numbers[at] ?? 0;
      if (number >= 0) numbers[tail++] = number;
    }
    this.#numbers = numbers;
    this.#head = 0;
    this.#tail = tail;
  }
}

/** A number that was removed, which keeps its place. */
const marked = (number: number): number => -1 - number;
const plain = (number: number): number => (number < 0 ? -1 - number : number);
