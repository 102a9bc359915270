/**
 * The last dedup keys of a partition with the positions of their records. Exact and bounded: it
 * holds at most `size` keys and forgets the oldest. A ring keeps the order of arrival, so that no
 * map is iterated from its front.
 */
export class DuplicateWindow {
  readonly size: number;
  readonly #positions = new Map<string, number>();
  readonly #ring: string[] = [];
  #at = 0;

  /** @param size 0 remembers nothing. */
  constructor(size: number) {
    this.size = size;
  }

  get count(): number {
    return this.#positions.size;
  }

  /** Where the record with this key lies, or undefined when it is not remembered. */
  find(key: string): number | undefined {
    return this.#positions.get(key);
  }

  /** Remembers a key that `find` does not know; call it in order of position. */
  add(key: string, position: number): void {
    if (this.size === 0) return;
    if (this.#ring.length < this.size) {
      this.#ring.push(key);
    } else {
      this.#positions.delete(this.#ring[this.#at] ?? '');
      this.#ring[this.#at] = key;
      this.#at = (this.#at + 1) % this.size;
    }
    this.#positions.set(key, position);
  }
}
