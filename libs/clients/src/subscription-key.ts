/** Whatever says which subscription is meant: by tenant, its name is there but once. */
export interface SubscriptionName {
  readonly tenant: string;
  readonly name: string;
}

/** `TENANT/NAME`: no name of a tenant has a `/`, so no two subscriptions of a site share one. */
export type SubscriptionKey = `${string}/${string}`;

/** By which a site tells its subscriptions apart: in views of the registry, and whatever is kept of one. */
export const subscriptionKey = ({ tenant, name }: SubscriptionName): SubscriptionKey =>
  `${tenant}/${name}`;

const OWNED = 'subscription/';

/**
 * Under which the registry knows the emesher that owns a subscription: `subscription/TENANT/NAME`. It
 * ends with the subscription; all other names that are owned are the emeshers' own affair.
 */
export const subscriptionOwned = (subscription: SubscriptionName): string =>
  `${OWNED}${subscriptionKey(subscription)}`;

/** The key of what is owned under a name; empty, and no key, for what is no subscription. */
export const ownedSubscription = (owned: string): string =>
  owned.startsWith(OWNED) ? owned.slice(OWNED.length) : '';
