import type { DeliverySink } from '@eventmesh/adapter-api';
import { ownedSubscription, subscriptionKey, subscriptionOwned } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import type { Directory } from '../control/directory.ts';
import type { DirectLanes } from './direct-lanes.ts';
import type { CallerSession } from '../session.ts';
import { changedError, deletedError, exclusiveError, movedError, type Hold } from './hold.ts';
import { sameSpec } from './same-spec.ts';
import { Turns } from './turns.ts';

/**
 * Direct subscriptions with consumers here. Where consumers compete, or only one may be, all of a
 * site are at one emesher, by the registry's lease; in a broadcast each stays where it is.
 */
export class DirectGroups {
  readonly #directory: Directory;
  readonly #direct: DirectLanes;
  readonly #turns = new Turns();
  /** Subscriptions that this emesher owns. */
  readonly #owned = new Map<string, Subscription>();

  constructor(directory: Directory, direct: DirectLanes) {
    this.#directory = directory;
    this.#direct = direct;
  }

  /** @throws Unavailable (OWNED_ELSEWHERE), FailedPrecondition (EXCLUSIVE), NotFound. */
  attach(subscription: Subscription, session: CallerSession, sink: DeliverySink): Promise<Hold> {
    const key = subscriptionKey(subscription);
    return this.#turns.take(key, async () => {
      const current = this.#directory.subscriptions.get(key);
      if (current === undefined) throw deletedError(subscription.name);
      if (current.mode !== 'broadcast' && !this.#owned.has(key)) {
        await this.#directory.acquire(subscriptionOwned(current), false);
        this.#owned.set(key, current);
      }
      if (current.mode === 'exclusive' && this.#direct.consumers(current) > 0) {
        throw exclusiveError(current.name);
      }
      const hold = this.#direct.attach(session, current, sink);
      let detached: Promise<void> | undefined;
      return {
        ...hold,
        detach: () => {
          detached ??= hold
            .detach()
            .then(() => this.#turns.take(key, () => this.#left(key, current)));
          return detached;
        },
      };
    });
  }

  /** Consumers of what is no more, or is another thing now, are told. */
  apply(changed: Subscription): void {
    const differs = (there: Subscription) => !sameSpec(there, changed);
    this.#direct.end(changed, changedError(changed.name), differs);
  }

  discard(tenant: string, name: string): void {
    this.#direct.end({ tenant, name }, deletedError(name));
    this.#direct.forget({ tenant, name });
  }

  /** Another emesher may own it by now. */
  moved(owned: string): void {
    const key = ownedSubscription(owned);
    const subscription = this.#owned.get(key);
    if (subscription === undefined) return;
    this.#owned.delete(key);
    this.#direct.end(subscription, movedError(subscription.name));
  }

  async #left(key: string, subscription: Subscription): Promise<void> {
    if (this.#direct.consumers(subscription) > 0) return;
    if (subscription.mode !== 'broadcast') {
      // It may be another's by now, and then so is what becomes of it.
      if (!this.#owned.delete(key)) return;
      await this.#directory.release(subscriptionOwned(subscription));
    }
    if (subscription.ephemeral) await this.#directory.forget(subscription);
  }
}
