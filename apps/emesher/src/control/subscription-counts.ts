import type { Subscription } from '@eventmesh/delivery';

type Owned = Pick<Subscription, 'tenant' | 'owner' | 'broadcastOf'>;

/**
 * How many subscriptions tenants and principals have. The parts of a broadcast are its consumers',
 * and have a limit of their own: the whole counts as one.
 */
export class SubscriptionCounts {
  readonly #counts = new Map<string, number>();

  add(subscription: Owned): void {
    this.#change(subscription, 1);
  }

  remove(subscription: Owned): void {
    this.#change(subscription, -1);
  }

  ofTenant(tenant: string): number {
    return this.#counts.get(tenant) ?? 0;
  }

  /** @param principal Name of a principal, of whatever kind, as quotas have it. */
  ofPrincipal(tenant: string, principal: string): number {
    return this.#counts.get(keyOf(tenant, principal)) ?? 0;
  }

  #change({ tenant, owner, broadcastOf }: Owned, by: number): void {
    if (broadcastOf !== '') return;
    for (const key of [tenant, keyOf(tenant, ownerName(owner))]) {
      const count = (this.#counts.get(key) ?? 0) + by;
      if (count === 0) this.#counts.delete(key);
      else this.#counts.set(key, count);
    }
  }
}

// Neither tenants nor principals have a NUL in their names.
const keyOf = (tenant: string, principal: string): string => `${tenant}\0${principal}`;

/** An owner is written `kind:name`. */
const ownerName = (owner: string): string => owner.slice(owner.indexOf(':') + 1);
