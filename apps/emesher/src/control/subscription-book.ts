import { subscriptionKey, type SubscriptionKey } from '@eventmesh/clients';
import { isPartOf, partAs, type BroadcastPart, type Subscription } from '@eventmesh/delivery';
import type { Subscription as ProtoSubscription } from '@eventmesh/proto-gen/subscriber';
import { partFromProto, storedFromProto } from '@eventmesh/wire';
import { LocalInterest } from './local-interest.ts';
import { SubscriptionCounts } from './subscription-counts.ts';

export interface BookChange {
  readonly type: 'made' | 'changed' | 'deleted';
  /** As it is now; when it was deleted, as it was last. */
  readonly subscription: Subscription;
}

/**
 * The subscriptions of the site as this emesher knows them, what they want, and how many there are.
 * Of the parts of a broadcast only their own is kept; each is as its whole is at any time. Those that
 * an earlier whole of the name has left, or whose whole is not there, are not among the subscriptions.
 */
export class SubscriptionBook {
  readonly interest = new LocalInterest();
  readonly counts = new SubscriptionCounts();
  readonly #subscriptions = new Map<SubscriptionKey, Subscription>();
  /** By the key of the whole and their names. */
  readonly #parts = new Map<string, Map<string, BroadcastPart>>();
  readonly #onChange: (change: BookChange) => void;

  constructor(onChange: (change: BookChange) => void) {
    this.#onChange = onChange;
  }

  get subscriptions(): ReadonlyMap<SubscriptionKey, Subscription> {
    return this.#subscriptions;
  }

  /** The parts of a broadcast subscription, in the order of their names. */
  partsOf(whole: Pick<Subscription, 'tenant' | 'name'>): Subscription[] {
    return [...(this.#parts.get(subscriptionKey(whole))?.keys() ?? [])].sort().flatMap((name) => {
      return this.#subscriptions.get(subscriptionKey({ tenant: whole.tenant, name })) ?? [];
    });
  }

  /** As the registry keeps it. */
  take(proto: ProtoSubscription): void {
    if (proto.broadcastOf === '') this.#set(storedFromProto(proto));
    else this.#setPart(partFromProto(proto));
  }

  /** As another emesher knows it. */
  learn(subscription: Subscription): void {
    const kept = asPart(subscription);
    if (kept === undefined) this.#set(subscription);
    else this.#setPart(kept);
  }

  #set(subscription: Subscription): void {
    const key = subscriptionKey(subscription);
    const there = this.#subscriptions.get(key);
    if (there !== undefined && there.revision >= subscription.revision) return;
    if (there !== undefined) this.#remove(there);
    this.#subscriptions.set(key, subscription);
    // A part wants what its whole wants, which is counted there.
    if (subscription.part === undefined) this.interest.add(subscription);
    this.counts.add(subscription);
    this.#onChange({ type: there === undefined ? 'made' : 'changed', subscription });
    this.#followWhole(key);
  }

  #setPart(kept: BroadcastPart): void {
    const { tenant, name, broadcastOf } = kept;
    const whole = subscriptionKey({ tenant, name: broadcastOf });
    const parts = this.#parts.get(whole) ?? new Map<string, BroadcastPart>();
    const there = parts.get(name);
    if (there !== undefined && there.part.revision >= kept.part.revision) return;
    this.#parts.set(whole, parts.set(name, kept));
    // Its progress was another's: whoever consumes that one is at the end of it.
    if (there !== undefined && there.part.wholeCreatedMs !== kept.part.wholeCreatedMs) {
      this.#drop(subscriptionKey(kept));
    }
    this.#followPart(kept);
  }

  /** What is no more. */
  delete(key: SubscriptionKey): void {
    const [whole = '', consumer] = key.split(':');
    const parts = this.#parts.get(whole);
    if (consumer !== undefined && parts?.delete(key.slice(key.indexOf('/') + 1)) === true) {
      if (parts.size === 0) this.#parts.delete(whole);
    }
    this.#drop(key);
    this.#followWhole(key);
  }

  #drop(key: SubscriptionKey): void {
    const there = this.#subscriptions.get(key);
    if (there === undefined) return;
    this.#subscriptions.delete(key);
    this.#remove(there);
    this.#onChange({ type: 'deleted', subscription: there });
  }

  /** A change of a whole is one of its parts; without it, or with another one, there are none. */
  #followWhole(key: string): void {
    for (const kept of [...(this.#parts.get(key)?.values() ?? [])]) this.#followPart(kept);
  }

  #followPart(kept: BroadcastPart): void {
    const { tenant, broadcastOf } = kept;
    const whole = this.#subscriptions.get(subscriptionKey({ tenant, name: broadcastOf }));
    if (whole !== undefined && isPartOf(kept, whole)) this.#set(partAs(kept, whole));
    else this.#drop(subscriptionKey(kept));
  }

  #remove(subscription: Subscription): void {
    if (subscription.part === undefined) this.interest.remove(subscription);
    this.counts.remove(subscription);
  }
}

/** What a part has of its own; undefined of a subscription that is none. */
export const asPart = ({ part, ...more }: Subscription): BroadcastPart | undefined =>
  part === undefined ? undefined : { ...more, part };
