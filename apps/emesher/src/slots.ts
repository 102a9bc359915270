import { MeshError, type Reason } from '@eventmesh/errors';

export interface SlotLimits {
  /** At a time at this emesher. */
  readonly max: number;
  /** At a time for one tenant. */
  readonly maxPerTenant: number;
}

/** Bounds how many of a thing there are at a time, in all and for each tenant. */
export class Slots {
  readonly #limits: SlotLimits;
  readonly #what: string;
  readonly #reason: Reason;
  readonly #changed: (tenant: string, taken: number) => void;
  readonly #byTenant = new Map<string, number>();
  #taken = 0;

  /** @param what For people: `replay lanes`. @param reason For programs: `REPLAYS_MAX`. */
  constructor(
    limits: SlotLimits,
    what: string,
    reason: Reason,
    changed: (tenant: string, taken: number) => void = () => undefined,
  ) {
    this.#limits = limits;
    this.#what = what;
    this.#reason = reason;
    this.#changed = changed;
  }

  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a slot; the function given back frees it, and may be called more than once.
   * @throws MeshError ResourceExhausted that names the limit.
   */
  take(tenant: string): () => void {
    const own = this.#byTenant.get(tenant) ?? 0;
    const { max, maxPerTenant } = this.#limits;
    if (own >= maxPerTenant) throw this.#full(`${maxPerTenant} of a tenant`);
    if (this.#taken >= max) throw this.#full(`${max} of an emesher`);
    this.#set(tenant, own + 1, 1);
    let free = () => {
      free = () => undefined;
      this.#set(tenant, (this.#byTenant.get(tenant) ?? 1) - 1, -1);
    };
    return () => free();
  }

  #set(tenant: string, own: number, change: number): void {
    this.#taken += change;
    if (own === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, own);
    this.#changed(tenant, own);
  }

  #full(limit: string): MeshError {
    return new MeshError('ResourceExhausted', `there are too many ${this.#what} at a time`, {
      reason: this.#reason,
      limit,
      retryAfterMs: 1000,
    });
  }
}
