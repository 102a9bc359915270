import { subscriptionKey, type GovernanceView, type SubscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { SubscriptionCounts } from '../control/subscription-counts.ts';
import type { CallerSession } from '../session.ts';

export interface SubscriptionQuotaDeps {
  readonly directory: {
    readonly subscriptions: ReadonlyMap<SubscriptionKey, Subscription>;
    readonly counts: SubscriptionCounts;
  };
  readonly policies: Pick<GovernanceView, 'quota'>;
}

/** Who makes a subscription, as far as quotas go. */
type Maker = Pick<CallerSession, 'principal' | 'quota'>;

/**
 * Keeps tenants and principals to their number of subscriptions. Those that are being made here
 * count already; emeshers of a site that make some at the same moment may go beyond the limit by
 * as many as they make in that moment.
 */
export class SubscriptionQuota {
  readonly #deps: SubscriptionQuotaDeps;
  /** Being made, by key, with how often and for whom. */
  readonly #making = new Map<SubscriptionKey, { times: number; readonly principal: string }>();

  constructor(deps: SubscriptionQuotaDeps) {
    this.#deps = deps;
  }

  /**
   * Makes a subscription when there is room for one more.
   * @throws MeshError ResourceExhausted (QUOTA) with field and limit; Unavailable before the first policy.
   */
  async within<T>(maker: Maker, name: string, make: () => Promise<T>): Promise<T> {
    const { tenant, name: principal } = maker.principal;
    const key = subscriptionKey({ tenant, name });
    const there = this.#making.get(key);
    if (there === undefined) this.#check(maker, name);
    const entry = there ?? { times: 0, principal };
    entry.times++;
    this.#making.set(key, entry);
    try {
      return await make();
    } finally {
      if (--entry.times === 0) this.#making.delete(key);
    }
  }

  #check(maker: Maker, name: string): void {
    const { tenant, name: principal } = maker.principal;
    maker.quota ??= this.#deps.policies.quota(tenant, principal);
    const { subscriptionsMax } = maker.quota;
    const { counts } = this.#deps.directory;
    if (subscriptionsMax.ofTenant !== 0) {
      const count = counts.ofTenant(tenant) + this.#unknown(tenant);
      refuseBeyond(subscriptionsMax.ofTenant, count, `tenant "${tenant}"`, name);
    }
    if (subscriptionsMax.ofPrincipal !== 0) {
      const count = counts.ofPrincipal(tenant, principal) + this.#unknown(tenant, principal);
      refuseBeyond(subscriptionsMax.ofPrincipal, count, `"${principal}"`, name);
    }
  }

  /** Those being made that the directory does not have yet. */
  #unknown(tenant: string, principal?: string): number {
    let count = 0;
    for (const [key, making] of this.#making) {
      if (!key.startsWith(`${tenant}/`) || this.#deps.directory.subscriptions.has(key)) continue;
      if (principal === undefined || making.principal === principal) count++;
    }
    return count;
  }
}

function refuseBeyond(max: number, count: number, whose: string, name: string): void {
  if (count < max) return;
  throw new MeshError(
    'ResourceExhausted',
    `subscription: ${whose} has ${count} and may have ${max}; delete one that nobody needs, or ` +
      'have the quota raised',
    {
      field: 'subscription',
      limit: `${max} subscriptions`,
      reason: 'QUOTA',
      facts: { action: 'subscribe', resource: name },
    },
  );
}
