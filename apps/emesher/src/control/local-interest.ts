import type { Subscription } from '@eventmesh/delivery';
import { TopicTrie } from '@eventmesh/routing';

/** What the subscriptions of this site want, wherever in the site their consumers are. */
export class LocalInterest {
  readonly #tries = {
    durable: new Map<string, TopicTrie<string>>(),
    direct: new Map<string, TopicTrie<string>>(),
  };

  /** An event reaches the subscriptions of its own class only. */
  wants(tenant: string, topic: string, deliveryClass: 'durable' | 'direct'): boolean {
    return this.#tries[deliveryClass].get(tenant)?.matchesAny(topic) ?? false;
  }

  add({ tenant, name, topicFilters, deliveryClass }: Subscription): void {
    const tries = this.#tries[deliveryClass];
    const trie = tries.get(tenant) ?? new TopicTrie<string>();
    tries.set(tenant, trie);
    for (const filter of topicFilters) trie.add(filter, name);
  }

  remove({ tenant, name, topicFilters, deliveryClass }: Subscription): void {
    const trie = this.#tries[deliveryClass].get(tenant);
    for (const filter of topicFilters) trie?.remove(filter, name);
  }
}
