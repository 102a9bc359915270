import { TopicTrie } from '@eventmesh/routing';

/** What became of the events of a direct subscription at this emesher, since it began. */
export class DirectBooks {
  /** Events that its topics and filters matched. */
  matched = 0;
  delivered = 0;
  expired = 0;
  dropped = 0;
  filterErrors = 0;
  /** Ruled out by the filters, as far as lanes are concerned that have ended. */
  filtered = 0;
}

/** Events of some topics. */
export interface TopicsCount {
  readonly topicFilters: readonly string[];
  events: number;
  /** Lanes that look at it. */
  uses: number;
}

/**
 * Counts events by what subscriptions with filters ask for as topics. Where the filters rule an event
 * out its lane is never asked, and there may be many of one topic: they share a count.
 */
export class TopicCounts {
  readonly #trie = new TopicTrie<TopicsCount>();
  readonly #counts = new Map<string, TopicsCount>();
  readonly #matched = new Set<TopicsCount>();

  /** To be given back. */
  take(topicFilters: readonly string[]): TopicsCount {
    const key = JSON.stringify(topicFilters);
    let count = this.#counts.get(key);
    if (count === undefined) {
      count = { topicFilters, events: 0, uses: 0 };
      this.#counts.set(key, count);
      for (const filter of topicFilters) this.#trie.add(filter, count);
    }
    count.uses++;
    return count;
  }

  giveBack(count: TopicsCount): void {
    if (--count.uses > 0) return;
    this.#counts.delete(JSON.stringify(count.topicFilters));
    for (const filter of count.topicFilters) this.#trie.remove(filter, count);
  }

  count(topic: string): void {
    if (this.#counts.size === 0) return;
    this.#trie.match(topic, this.#matched);
    for (const count of this.#matched) count.events++;
    this.#matched.clear();
  }
}
