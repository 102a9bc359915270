import { randomBytes } from 'node:crypto';

/** Numbers of 32 bits that stand for a key: equal keys have equal ones, others practically never. */
const LANES = 3;
const SLOTS_MIN = 1024;

/**
 * The last dedup keys of a partition with the positions of their records. Bounded: it holds at most
 * `size` keys and forgets the oldest.
 *
 * A key is kept as a hash of 96 bits and not as a string: hundreds of thousands of strings that
 * outlive the young generation would be the garbage collector's main work. The hash is seeded anew
 * in each process, so that nobody can prepare two keys that collide; with 10,000,000 keys the chance
 * that a new one is taken for a known one is below 10^-21.
 */
export class DuplicateWindow {
  readonly size: number;
  readonly #p = secretOdd();
  readonly #q = secretOdd();
  readonly #r = secretOdd();
  /** The hash of the key asked for last: `find` and then `add` of one key hash it once. */
  readonly #hash = new Int32Array(LANES);
  #hashed = '';
  /** Open addressing with linear probing, at most half full. A slot with position 0 is free. */
  #hashes = new Int32Array(0);
  /** Positions plus one. */
  #positions = new Float64Array(0);
  #mask = -1;
  /** Hashes in order of arrival, so that the oldest can be found and forgotten. */
  #ring = new Int32Array(0);
  #at = 0;
  #count = 0;

  /** @param size 0 remembers nothing. */
  constructor(size: number) {
    this.size = size;
  }

  get count(): number {
    return this.#count;
  }

  /** Where the record with this key lies, or undefined when it is not remembered. */
  find(key: string): number | undefined {
    if (this.#count === 0) return undefined;
    this.#hashOf(key);
    const found = this.#positions[this.#slot(this.#hash, 0)] ?? 0;
    return found === 0 ? undefined : found - 1;
  }

  /** Remembers a key that `find` does not know; call it in order of position. */
  add(key: string, position: number): void {
    if (this.size === 0) return;
    if (this.#count === this.size) this.#forget(this.#at * LANES);
    else this.#grow();
    this.#hashOf(key);
    this.#put(this.#hash, 0, position + 1);
    copyHash(this.#hash, 0, this.#ring, this.#at * LANES);
    this.#at = (this.#at + 1) % this.size;
    this.#count++;
  }

  #hashOf(key: string): void {
    // The same string object, as after `find`; two that only look the same are cheap to hash again.
    if (Object.is(key, this.#hashed)) return;
    this.#hashed = key;
    const { length } = key;
    const p = this.#p;
    const q = this.#q;
    const r = this.#r;
    let a = p ^ length;
    let b = q;
    let c = r;
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i);
      a = Math.imul(a ^ code, p);
      b = Math.imul(b ^ code ^ (a >>> 15), q);
      c = Math.imul(c ^ code ^ (b >>> 13), r);
    }
    this.#hash[0] = a ^ (c >>> 16);
    this.#hash[1] = b ^ (a >>> 16);
    this.#hash[2] = c ^ (b >>> 16);
  }

  /** The slot that holds the hash found at `from`, or the free one where it belongs. */
  #slot(source: Int32Array, from: number): number {
    const hashes = this.#hashes;
    const first = source[from];
    let slot = (first ?? 0) & this.#mask;
    while (this.#positions[slot] !== 0) {
      const at = slot * LANES;
      if (
        hashes[at] === first &&
        hashes[at + 1] === source[from + 1] &&
        hashes[at + 2] === source[from + 2]
      ) {
        return slot;
      }
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  #put(source: Int32Array, from: number, position: number): void {
    const slot = this.#slot(source, from);
    copyHash(source, from, this.#hashes, slot * LANES);
    this.#positions[slot] = position;
  }

  /** Frees the slot of a ring entry and closes the gap, so that probing still finds all others. */
  #forget(from: number): void {
    let free = this.#slot(this.#ring, from);
    this.#count--;
    for (let next = (free + 1) & this.#mask; this.#positions[next] !== 0;) {
      const home = (this.#hashes[next * LANES] ?? 0) & this.#mask;
      // It may move when its home is not between the free slot and where it is.
      if (((next - home) & this.#mask) >= ((next - free) & this.#mask)) {
        copyHash(this.#hashes, next * LANES, this.#hashes, free * LANES);
        this.#positions[free] = this.#positions[next] ?? 0;
        free = next;
      }
      next = (next + 1) & this.#mask;
    }
    this.#positions[free] = 0;
  }

  /** Room for one more; memory follows what is remembered, not what might be. */
  #grow(): void {
    if (this.#count * LANES === this.#ring.length) {
      const ring = new Int32Array(
        Math.min(this.size, Math.max(SLOTS_MIN, this.#count * 2)) * LANES,
      );
      ring.set(this.#ring);
      this.#ring = ring;
    }
    if (this.#count * 2 <= this.#mask) return;
    const [hashes, positions] = [this.#hashes, this.#positions];
    const slots = Math.max(SLOTS_MIN, positions.length * 2);
    this.#hashes = new Int32Array(slots * LANES);
    this.#positions = new Float64Array(slots);
    this.#mask = slots - 1;
    for (const [slot, position] of positions.entries()) {
      if (position !== 0) this.#put(hashes, slot * LANES, position);
    }
  }
}

/** Multiplication by an odd number loses nothing. */
const secretOdd = (): number => randomBytes(4).readInt32LE(0) | 1;

/** Three stores; the typed arrays' own copying costs more than all of them. */
function copyHash(source: Int32Array, from: number, target: Int32Array, to: number): void {
  target[to] = source[from] ?? 0;
  target[to + 1] = source[from + 1] ?? 0;
  target[to + 2] = source[from + 2] ?? 0;
}
