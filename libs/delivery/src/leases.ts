import { NumberMap } from '@eventmesh/collections';
import type { Consumer } from './consumers.ts';
import type { Entry } from './entry.ts';

const SEQUENCE_SPAN = 2 ** 32;
const EPOCH_SPAN = 2 ** 20;

/** A delivery that is out: whose it is, and until when. */
export class Lease {
  readonly id: number;
  readonly entry: Entry;
  readonly consumer: Consumer;
  /** Of an event that had failed before. */
  readonly isRetry: boolean;
  endMs: number;
  /** Neighbours in the order in which leases run out. */
  before: Lease | undefined = undefined;
  behind: Lease | undefined = undefined;
  /** Neighbours among what its consumer has, in the order of their ids. */
  older: Lease | undefined = undefined;
  newer: Lease | undefined = undefined;

  constructor(id: number, entry: Entry, consumer: Consumer, endMs: number) {
    this.id = id;
    this.entry = entry;
    this.consumer = consumer;
    this.isRetry = entry.failures > 0;
    this.endMs = endMs;
  }
}

/**
 * The deliveries that are out, each under an id of its own and a lease of the same length, so the
 * one that was begun or renewed first runs out first.
 *
 * An id is the ownership epoch in its upper 20 bits and a sequence in its lower 32: what an older
 * owner gave out is never found here. A sequence comes again after 4 billion deliveries, so ids are
 * compared by how far they lie apart and not by their size.
 */
export class Leases {
  readonly #base: number;
  readonly #durationMs: number;
  readonly #byId = new NumberMap<Lease>();
  /** In the order in which they run out, linked, since leases of keys are renewed all the time. */
  #first: Lease | undefined = undefined;
  #last: Lease | undefined = undefined;
  #sequence = 0;

  constructor(epoch: number, durationMs: number) {
    this.#base = (epoch % EPOCH_SPAN) * SEQUENCE_SPAN;
    this.#durationMs = durationMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  find(id: number): Lease | undefined {
    return this.#byId.get(id);
  }

  /** What is out, in the order in which the leases run out; they must not change meanwhile. */
  *values(): Generator<Entry> {
    for (let lease = this.#first; lease !== undefined; lease = lease.behind) yield lease.entry;
  }

  /** The one that runs out next. */
  get first(): Lease | undefined {
    return this.#first;
  }

  begin(entry: Entry, consumer: Consumer, nowMs: number): Lease {
    this.#sequence = (this.#sequence + 1) % SEQUENCE_SPAN;
    const id = this.#base + this.#sequence;
    const lease = new Lease(id, entry, consumer, nowMs + this.#durationMs);
    entry.lease = lease;
    this.#byId.set(id, lease);
    this.#append(lease);
    return lease;
  }

  renew(lease: Lease, nowMs: number): void {
    this.#unlink(lease);
    lease.endMs = nowMs + this.#durationMs;
    this.#append(lease);
  }

  /** Its id is stale from now on. */
  end(lease: Lease): void {
    this.#byId.delete(lease.id);
    this.#unlink(lease);
    lease.entry.lease = undefined;
  }

  #append(lease: Lease): void {
    lease.before = this.#last;
    if (this.#last === undefined) this.#first = lease;
    else this.#last.behind = lease;
    this.#last = lease;
  }

  #unlink(lease: Lease): void {
    const { before, behind } = lease;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    lease.before = undefined;
    lease.behind = undefined;
  }

  /** Whether an id was given out by this owner: of its epoch, and not ahead of what it has given. */
  issued(id: number): boolean {
    if (id < this.#base || id >= this.#base + SEQUENCE_SPAN) return false;
    return this.notAfter(id, this.#base + this.#sequence);
  }

  /** These ids, and of what is `out`, in the order of its ids, all that is not after the newest one. */
  upTo(ids: readonly number[], out: Iterable<Lease>): number[] {
    let newest: number | undefined;
    for (const id of ids) {
      if (!this.issued(id)) continue;
      if (newest === undefined || this.notAfter(newest, id)) newest = id;
    }
    const all = new Set(ids);
    if (newest === undefined) return [...all];
    for (const { id } of out) {
      if (!this.notAfter(id, newest)) break;
      all.add(id);
    }
    return [...all].sort((a, b) => (a === b ? 0 : this.notAfter(a, b) ? -1 : 1));
  }

  /** Whether of two ids given out here the first one is the older, or the same. */
  notAfter(id: number, other: number): boolean {
    return (other - id + SEQUENCE_SPAN) % SEQUENCE_SPAN < SEQUENCE_SPAN / 2;
  }
}
