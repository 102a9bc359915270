import type { MeshError } from '@eventmesh/errors';
import type { KvKeepAlive, KvLease } from '@eventmesh/kv-api';
import { Background } from './background.ts';
import { encodeText, key } from './keys.ts';
import type { Parts } from './parts.ts';

/** A replica that died keeps its links up for this long at most. */
const LEASE_TTL_MS = 5000;

/**
 * Tells the control state which neighbours this replica has an exchange with. The keys hang on a
 * lease of the replica; when the lease is lost (the store was away) a new one is taken.
 */
export class ReplicaLinks {
  readonly #parts: Parts;
  readonly #replica: string;
  readonly #costs: ReadonlyMap<string, number>;
  readonly #work: Background;
  readonly #sessions = new Map<string, number>();
  readonly #written = new Set<string>();
  #lease: KvLease | undefined;
  #keepAlive: KvKeepAlive | undefined;

  constructor(
    parts: Parts,
    replica: string,
    costs: ReadonlyMap<string, number>,
    onError: (error: MeshError) => void,
  ) {
    this.#parts = parts;
    this.#replica = replica;
    this.#costs = costs;
    this.#work = new Background(() => this.#sync(), parts.clock, onError);
    for (const neighbour of costs.keys()) parts.metrics.linkUp.set({ neighbour }, 0);
  }

  isUp(neighbour: string): boolean {
    return (this.#sessions.get(neighbour) ?? 0) > 0;
  }

  /** One more exchange with a neighbour; call the result once when it has ended. */
  opened(neighbour: string): () => void {
    this.#count(neighbour, 1);
    return () => this.#count(neighbour, -1);
  }

  /** Tells the neighbours' links down at once, instead of when the lease runs out. */
  async close(): Promise<void> {
    await this.#work.close();
    this.#keepAlive?.stop();
    await this.#lease?.revoke();
  }

  #count(neighbour: string, by: 1 | -1): void {
    const count = (this.#sessions.get(neighbour) ?? 0) + by;
    this.#sessions.set(neighbour, count);
    this.#parts.metrics.linkUp.set({ neighbour }, count > 0 ? 1 : 0);
    this.#work.poke();
  }

  async #sync(): Promise<void> {
    const { kv } = this.#parts;
    for (const [neighbour, cost] of this.#costs) {
      const at = key('links', neighbour, this.#replica);
      if (this.isUp(neighbour) && !this.#written.has(neighbour)) {
        const lease = await this.#ensureLease();
        await kv.put(at, encodeText(String(cost)), { lease: lease.id });
        if (this.#lease === lease) this.#written.add(neighbour);
      } else if (!this.isUp(neighbour) && this.#written.has(neighbour)) {
        await kv.delete(at);
        this.#written.delete(neighbour);
      }
    }
  }

  async #ensureLease(): Promise<KvLease> {
    if (this.#lease !== undefined) return this.#lease;
    const lease = await this.#parts.kv.grantLease(LEASE_TTL_MS);
    this.#lease = lease;
    this.#keepAlive = lease.keepAlive((reason) => {
      this.#parts.log.warn({ err: reason }, 'the lease of this replica was lost; taking a new one');
      this.#lease = undefined;
      this.#keepAlive = undefined;
      this.#written.clear();
      this.#work.poke();
    });
    return lease;
  }
}
