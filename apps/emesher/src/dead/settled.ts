import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { MeshError } from '@eventmesh/errors';
import type { Cursor } from '@eventmesh/store-api';

/** Most ranges above the floor; packed, as many stay below the 1 MiB that a store takes at once. */
const RANGES_MAX = 100_000;

interface Range {
  from: number;
  to: number;
  /** Stored bytes of these letters. */
  bytes: number;
}

/**
 * Which dead letters were redriven or purged: everything below the floor, and ranges above it. With
 * the bytes of each range, so that what still counts is known without reading the log.
 */
export class Settled {
  #floor: number;
  readonly #ranges: Range[];

  /** @param cursor Undefined when nothing was ever settled. */
  constructor(cursor?: Cursor) {
    this.#floor = cursor?.floor ?? 1;
    this.#ranges = cursor === undefined ? [] : unpack(cursor.floor, cursor.state);
  }

  /** Everything below is settled. */
  get floor(): number {
    return this.#floor;
  }

  /** Settled letters at or above the floor, and their stored bytes. */
  get above(): { readonly count: number; readonly bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const range of this.#ranges) {
      count += range.to - range.from + 1;
      bytes += range.bytes;
    }
    return { count, bytes };
  }

  has(position: number): boolean {
    if (position < this.#floor) return true;
    const range = this.#ranges[this.#behind(position) - 1];
    return range !== undefined && position <= range.to;
  }

  /**
   * Settles a letter.
   * @throws ResourceExhausted when the settled ones would lie too scattered to be kept.
   */
  add(position: number, bytes: number): void {
    if (this.has(position)) return;
    const at = this.#behind(position);
    const before = this.#ranges[at - 1];
    const after = this.#ranges[at];
    if (before?.to === position - 1) {
      before.to = position;
      before.bytes += bytes;
      if (after?.from === position + 1) {
        before.to = after.to;
        before.bytes += after.bytes;
        this.#ranges.splice(at, 1);
      }
    } else if (after?.from === position + 1) {
      after.from = position;
      after.bytes += bytes;
    } else if (position === this.#floor || this.#ranges.length < RANGES_MAX) {
      this.#ranges.splice(at, 0, { from: position, to: position, bytes });
    } else throw tooScattered(this.#floor);
    this.raise(this.#floor);
  }

  /** Letters below were dropped by age; the floor goes on over what is settled behind it. */
  raise(floor: number): void {
    this.#floor = Math.max(this.#floor, floor);
    let passed = 0;
    for (const { from, to } of this.#ranges) {
      if (from > this.#floor) break;
      this.#floor = Math.max(this.#floor, to + 1);
      passed++;
    }
    this.#ranges.splice(0, passed);
  }

  toCursor(epoch: number): Cursor {
    return { floor: this.#floor, settled: [], epoch, state: pack(this.#floor, this.#ranges) };
  }

  /** Index of the first range that begins behind a position. */
  #behind(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.from ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Ranges as JSON of three numbers each, deflated: how far behind the last one, how long, and how many
 * bytes. Letters of two subscriptions that die in turn make a range each, and pack to a few bytes.
 */
function pack(floor: number, ranges: readonly Range[]): Uint8Array {
  const numbers: number[] = [];
  let at = floor;
  for (const { from, to, bytes } of ranges) {
    numbers.push(from - at, to - from, bytes);
    at = to;
  }
  return new Uint8Array(deflateRawSync(JSON.stringify(numbers), { level: 1 }));
}

function unpack(floor: number, state: Uint8Array): Range[] {
  if (state.length === 0) return [];
  const numbers = JSON.parse(inflateRawSync(state).toString()) as readonly number[];
  const ranges: Range[] = [];
  let at = floor;
  for (let i = 0; i + 2 < numbers.length; i += 3) {
    const from = at + (numbers[i] ?? 0);
    at = from + (numbers[i + 1] ?? 0);
    ranges.push({ from, to: at, bytes: numbers[i + 2] ?? 0 });
  }
  return ranges;
}

function tooScattered(floor: number): MeshError {
  return new MeshError(
    'ResourceExhausted',
    `the settled dead letters lie in more than ${RANGES_MAX} ranges; redrive or purge the oldest ones first, from id ${floor} on`,
    { field: 'selection', reason: 'DEAD_LETTERS_SCATTERED', limit: `${RANGES_MAX} ranges` },
  );
}
