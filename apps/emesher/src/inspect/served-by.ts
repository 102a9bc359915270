import { subscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';

type Name = Pick<Subscription, 'tenant' | 'name'>;

/** Subscriptions remembered; beyond it the one that was served first is forgotten. */
const SUBSCRIPTIONS_MAX = 100_000;

/**
 * Which protocol serves a subscription: that of the consumer that attached last. What becomes of
 * its events is counted under this name, all of it, so that the protocols add up to the whole.
 */
export class ServedBy {
  readonly #protocols = new Map<string, string>();

  set(subscription: Name, protocol: string): void {
    const key = subscriptionKey(subscription);
    // Taken out and put back: the map is in the order of the last attach.
    this.#protocols.delete(key);
    this.#protocols.set(key, protocol);
    if (this.#protocols.size <= SUBSCRIPTIONS_MAX) return;
    const first = this.#protocols.keys().next();
    if (first.done !== true) this.#protocols.delete(first.value);
  }

  /** Undefined while nobody has attached since this emesher started. */
  of(subscription: Name): string | undefined {
    return this.#protocols.get(subscriptionKey(subscription));
  }

  forget(subscription: Name): void {
    this.#protocols.delete(subscriptionKey(subscription));
  }
}
