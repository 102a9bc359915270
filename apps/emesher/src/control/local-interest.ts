import type { Subscription } from '@eventmesh/delivery';
import { TopicTrie } from '@eventmesh/routing';

/** What the subscriptions of this site want, wherever in the site their consumers are. */
export class LocalInterest {
  readonly #all = new Map<string, TopicTrie<string>>();
  readonly #direct = new Map<string, TopicTrie<string>>();

  wants(tenant: string, topic: string): boolean {
    return this.#all.get(tenant)?.matchesAny(topic) ?? false;
  }

  wantsDirect(tenant: string, topic: string): boolean {
    return this.#direct.get(tenant)?.matchesAny(topic) ?? false;
  }

  add(subscription: Subscription): void {
    const { tenant, name, topicFilters } = subscription;
    for (const tries of this.#of(subscription)) {
      const trie = tries.get(tenant) ?? new TopicTrie<string>();
      tries.set(tenant, trie);
      for (const filter of topicFilters) trie.add(filter, name);
    }
  }

  remove(subscription: Subscription): void {
    const { tenant, name, topicFilters } = subscription;
    for (const tries of this.#of(subscription)) {
      for (const filter of topicFilters) tries.get(tenant)?.remove(filter, name);
    }
  }

  #of({ deliveryClass }: Subscription): Map<string, TopicTrie<string>>[] {
    return deliveryClass === 'direct' ? [this.#all, this.#direct] : [this.#all];
  }
}
