import { subscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import type { Cursor } from '@eventmesh/store-api';

/** How long an ephemeral subscription waits for a consumer that was told to reconnect, in ms. */
const LINGER_MS = 5000;

interface Waiting {
  readonly subscription: Subscription;
  readonly progress: readonly Cursor[] | undefined;
  readonly timer: NodeJS.Timeout;
}

/**
 * Ephemeral subscriptions that were stopped for a change, and whose consumers will be back: they keep
 * no cursors, so how far they have come waits here; and they go with their last consumer, so somebody
 * has to see whether any has come.
 */
export class Lingering {
  readonly #onUnused: (subscription: Subscription) => Promise<void>;
  readonly #waiting = new Map<string, Waiting>();

  constructor(onUnused: (subscription: Subscription) => Promise<void>) {
    this.#onUnused = onUnused;
  }

  /** @param progress Undefined: whoever comes back begins at the start of the subscription. */
  add(subscription: Subscription, progress: readonly Cursor[] | undefined): void {
    const key = subscriptionKey(subscription);
    clearTimeout(this.#waiting.get(key)?.timer);
    const timer = setTimeout(() => {
      this.#waiting.delete(key);
      void this.#onUnused(subscription);
    }, LINGER_MS);
    this.#waiting.set(key, { subscription, progress, timer });
  }

  /** Somebody is back, or nothing of it is wanted any more; answers how far it had come. */
  take(subscription: Subscription): readonly Cursor[] | undefined {
    const key = subscriptionKey(subscription);
    const waiting = this.#waiting.get(key);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(key);
    // Another one of the name has its own start.
    const isSame = waiting?.subscription.createdMs === subscription.createdMs;
    return isSame ? waiting.progress : undefined;
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }
}
