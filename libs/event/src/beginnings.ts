import { F } from './record.ts';

/** How records begin: the bytes, and what they say. */
export interface Beginning<T> {
  readonly bytes: Buffer;
  readonly fields: T;
}

/** A power of two. */
const SLOTS = 1024;
/** Longer ones are not kept, so that strangers can fill the table but not make it large. */
const BYTES_MAX = 256;
const LENGTH_DELIMITED = 2;

/**
 * Beginnings of records that come again and again: those of one publisher on one topic begin with
 * the same bytes (see `RecordEncoder`). One takes the place of another whose names have the same
 * hash, once it has come twice, so that where all differ little is lost.
 */
export class Beginnings<T> {
  readonly #kept = new Array<Beginning<T> | undefined>(SLOTS).fill(undefined);
  /** By slot: the hash of the names that came last without being known. */
  readonly #missed = new Int32Array(SLOTS);
  #hash = 0;

  /** The one that these bytes begin with, as far as it is known. */
  find(bytes: Buffer): Beginning<T> | undefined {
    this.#hash = hashNames(bytes);
    const kept = this.#kept[this.#hash & (SLOTS - 1)];
    return kept !== undefined && startsWith(bytes, kept.bytes) ? kept : undefined;
  }

  /** Told after `find` has found nothing: the first `length` bytes of those say this. */
  learn(bytes: Buffer, length: number, fields: T): void {
    const slot = this.#hash & (SLOTS - 1);
    const again = this.#missed[slot] === this.#hash;
    this.#missed[slot] = this.#hash;
    if (!again || length === 0 || length > BYTES_MAX) return;
    this.#kept[slot] = { bytes: Buffer.from(bytes.subarray(0, length)), fields };
  }
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  const { length } = prefix;
  if (bytes.length < length) return false;
  for (let i = 0; i < length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

/** Of topic, tenant, principal and origin site, as far as they come first and are short. */
function hashNames(bytes: Buffer): number {
  let hash = 0;
  let at = 0;
  while (at + 1 < bytes.length) {
    const tag = bytes[at] as number;
    const length = bytes[at + 1] as number;
    if ((tag & 7) !== LENGTH_DELIMITED || tag >>> 3 > F.originSite || length > 0x7f) break;
    const end = Math.min(at + 2 + length, bytes.length);
    for (at += 2; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}
