const CAPACITY_MIN = 16;
/** An empty map keeps its table up to this: bursts of half of it make no new ones. */
const CAPACITY_KEPT = 2048;

/**
 * A map by whole numbers from 0 to 2^53 - 1, for entries that come and go by the hundred thousand a
 * second. A `Map` makes a new table each time the old one is full of deleted entries, and the old one
 * goes on to point to the new one and to what it held. Once one of them has grown old, all that follow
 * stay with it, and with them whatever they held, until the old generation is collected (ADR 42).
 *
 * Open addressing in flat arrays; what lies behind a removed entry moves up, so nothing is left of it.
 * In no particular order.
 */
export class NumberMap<T extends NonNullable<unknown>> {
  #keys = emptyKeys(CAPACITY_MIN);
  #values: (T | undefined)[] = emptyValues(CAPACITY_MIN);
  #mask = CAPACITY_MIN - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): T | undefined {
    return this.#values[this.#slotOf(key)];
  }

  set(key: number, value: T): void {
    if ((this.#size + 1) * 2 > this.#keys.length) this.#grow();
    const slot = this.#slotOf(key);
    if (this.#keys[slot] !== key) {
      this.#keys[slot] = key;
      this.#size++;
    }
    this.#values[slot] = value;
  }

  /** False when there was none. */
  delete(key: number): boolean {
    const slot = this.#slotOf(key);
    if (this.#values[slot] === undefined) return false;
    this.#size--;
    this.#close(slot);
    if (this.#size === 0 && this.#keys.length > CAPACITY_KEPT) this.#allocate(CAPACITY_MIN);
    return true;
  }

  clear(): void {
    this.#allocate(CAPACITY_MIN);
    this.#size = 0;
  }

  /** The map must not change meanwhile. */
  *values(): Generator<T> {
    for (let slot = 0; slot < this.#keys.length; slot++) {
      if (this.#keys[slot] !== NONE) yield this.#values[slot] as T;
    }
  }

  /** Where the key is, or the free slot where it would be. */
  #slotOf(key: number): number {
    let slot = hash(key) & this.#mask;
    for (;;) {
      const there = this.#keys[slot];
      if (there === key || there === NONE) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Frees a slot, and moves up what would not be found any more behind a gap. */
  #close(slot: number): void {
    let gap = slot;
    for (let next = (gap + 1) & this.#mask; ; next = (next + 1) & this.#mask) {
      const key = this.#keys[next] as number;
      if (key === NONE) break;
      const home = hash(key) & this.#mask;
      // It may move up when its home does not lie between the gap and itself.
      if (((next - home) & this.#mask) < ((next - gap) & this.#mask)) continue;
      this.#keys[gap] = key;
      this.#values[gap] = this.#values[next];
      gap = next;
    }
    this.#keys[gap] = NONE;
    this.#values[gap] = undefined;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#allocate(keys.length * 2);
    for (let from = 0; from < keys.length; from++) {
      const key = keys[from] as number;
      if (key === NONE) continue;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#values[slot] = values[from];
    }
  }

  #allocate(capacity: number): void {
    this.#keys = emptyKeys(capacity);
    this.#values = emptyValues(capacity);
    this.#mask = capacity - 1;
  }
}

/** No key of ours. */
const NONE = -1;

const emptyKeys = (capacity: number): Float64Array => new Float64Array(capacity).fill(NONE);

const emptyValues = <T>(capacity: number): (T | undefined)[] =>
  new Array<T | undefined>(capacity).fill(undefined);

/** Spreads numbers that follow each other; both halves of those above 2^32 count. */
function hash(key: number): number {
  const product = Math.imul(
    (key | 0) ^ Math.imul((key / 0x1_0000_0000) | 0, 0x85eb_ca6b),
    0x9e37_79b1,
  );
  return (product ^ (product >>> 15)) >>> 0;
}
