import type { Due } from './timer-book.ts';

/** Bytes of one chunk of records; a record that is larger has one of its own. */
const CHUNK_BYTES = 256 * 1024;
const TIMERS_MIN = 64;
/** Of a record's place: its chunk, where it begins there and its length. */
const PLACE = 3;

/**
 * Timers in the order of their times, with their records as these lie in the log, in flat memory: 36
 * bytes a timer and the bytes of its record. An object for each would outlive the young generation,
 * and the heap grows by several times of what does.
 */
export class ReadAhead {
  #due = new Float64Array(TIMERS_MIN);
  #positions = new Float64Array(TIMERS_MIN);
  #length = 0;
  /** The positions, ascending. */
  #sorted = new Float64Array(0);
  /** Where their records are. */
  #places = new Uint32Array(0);
  #kept = 0;
  #chunks: Buffer[] = [];
  /** The chunk that is being filled, and how far. */
  #chunk = 0;
  #used = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  /** Of the records that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many records are kept. */
  get kept(): number {
    return this.#kept;
  }

  push({ dueMs, position }: Due): void {
    const at = this.#length++;
    if (at === this.#due.length) {
      this.#due = twice(this.#due);
      this.#positions = twice(this.#positions);
    }
    this.#due[at] = dueMs;
    this.#positions[at] = position;
  }

  /** Undefined behind the last one. */
  at(index: number): Due | undefined {
    if (index >= this.#length) return undefined;
    return { dueMs: this.#due[index] ?? 0, position: this.#positions[index] ?? 0 };
  }

  /** Their positions, ascending; then `keep` each record in that order. */
  sorted(): Float64Array {
    this.#sorted = this.#positions.slice(0, this.#length).sort();
    this.#places = new Uint32Array(PLACE * this.#length);
    return this.#sorted;
  }

  /** Copies the record of the next position, for what a store gives may keep much else in memory. */
  keep(record: Uint8Array): void {
    const { length } = record;
    if (this.#used + length > (this.#chunks[this.#chunk]?.length ?? 0)) {
      if (this.#used > 0) this.#chunk++;
      this.#used = 0;
    }
    let chunk = this.#chunks[this.#chunk];
    if (chunk === undefined || chunk.length < length) {
      chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length));
      this.#chunks[this.#chunk] = chunk;
    }
    chunk.set(record, this.#used);
    const place = PLACE * this.#kept++;
    this.#places[place] = this.#chunk;
    this.#places[place + 1] = this.#used;
    this.#places[place + 2] = length;
    this.#used += length;
    this.#bytes += length;
  }

  /** A view, valid until it is forgotten; undefined when the record is not kept. */
  record(position: number): Uint8Array | undefined {
    const index = indexOf(this.#sorted, position);
    if (index === undefined || index >= this.#kept) return undefined;
    const place = PLACE * index;
    const from = this.#places[place + 1] ?? 0;
    const length = this.#places[place + 2] ?? 0;
    return this.#chunks[this.#places[place] ?? 0]?.subarray(from, from + length);
  }

  /** Lets go of every record, and of all but the first timers: those are given back. */
  cut(length: number, giveBack: (due: Due) => void): void {
    for (let index = length; index < this.#length; index++) {
      giveBack({ dueMs: this.#due[index] ?? 0, position: this.#positions[index] ?? 0 });
    }
    this.#length = length;
    this.#forgetRecords();
  }

  /** Forgets all; the memory stays for the next ones. */
  clear(): void {
    this.#length = 0;
    this.#forgetRecords();
  }

  /** Lets go of the memory as well. */
  release(): void {
    this.clear();
    this.#chunks = [];
    this.#due = new Float64Array(TIMERS_MIN);
    this.#positions = new Float64Array(TIMERS_MIN);
    this.#sorted = new Float64Array(0);
    this.#places = new Uint32Array(0);
  }

  #forgetRecords(): void {
    this.#chunks = this.#chunks.filter((chunk) => chunk.length === CHUNK_BYTES);
    this.#chunk = 0;
    this.#used = 0;
    this.#bytes = 0;
    this.#kept = 0;
  }
}

function twice(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * array.length);
  larger.set(array);
  return larger;
}

function indexOf(sorted: Float64Array, wanted: number): number | undefined {
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = sorted[middle] ?? 0;
    if (found === wanted) return middle;
    if (found < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
