import type { Lease } from './leases.ts';

/**
 * What a consumer has, in the order of the ids. Linked, and the links of what leaves are cut: a `Set`
 * would keep alive what has left it (see `NumberMap`), and so would a link.
 */
export class Outstanding implements Iterable<Lease> {
  #oldest: Lease | undefined = undefined;
  #newest: Lease | undefined = undefined;
  #size = 0;
  #retries = 0;

  get size(): number {
    return this.#size;
  }

  /** How many of them are of events that had failed before. */
  get retries(): number {
    return this.#retries;
  }

  /** A lease that is in no other one. */
  add(lease: Lease): void {
    lease.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = lease;
    else this.#newest.newer = lease;
    this.#newest = lease;
    this.#size++;
    if (lease.isRetry) this.#retries++;
  }

  /** A lease that is in this one. */
  delete(lease: Lease): void {
    const { older, newer } = lease;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    lease.older = undefined;
    lease.newer = undefined;
    this.#size--;
    if (lease.isRetry) this.#retries--;
  }

  /** It must not change meanwhile. */
  *[Symbol.iterator](): Generator<Lease> {
    for (let lease = this.#oldest; lease !== undefined; lease = lease.newer) yield lease;
  }
}
