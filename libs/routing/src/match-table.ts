import type { EventView } from '@eventmesh/event';
import { ConditionIndex, type Condition } from '@eventmesh/filter';
import { TopicTrie } from './topic-trie.ts';

/**
 * Values under topic filters and, within each of those, under what their filters cannot be true
 * without: finds everybody that a record may concern and few others, at a cost that does not grow
 * with their number. Topics are matched for good; the filters of those found are still to be asked.
 */
export class MatchTable<R extends { readonly topic: string }, T> {
  readonly #eventOf: (record: R) => EventView;
  readonly #trie = new TopicTrie<ConditionIndex<T>>();
  readonly #groups = new Map<string, ConditionIndex<T>>();
  readonly #matched = new Set<ConditionIndex<T>>();

  /** @param eventOf Reads a record's event. Asked only where filters have to be told apart; may throw. */
  constructor(eventOf: (record: R) => EventView) {
    this.#eventOf = eventOf;
  }

  /**
   * Adds a value under topic filters that have been checked. A value that is under one already
   * stays there as it is.
   *
   * @param conditions `necessaryConditions` of its filters.
   */
  add(topicFilters: readonly string[], conditions: readonly Condition[], value: T): void {
    for (const filter of topicFilters) {
      let group = this.#groups.get(filter);
      if (group === undefined) {
        group = new ConditionIndex();
        this.#groups.set(filter, group);
        this.#trie.add(filter, group);
      }
      group.add(value, conditions);
    }
  }

  remove(topicFilters: readonly string[], value: T): void {
    for (const filter of topicFilters) {
      const group = this.#groups.get(filter);
      if (group?.remove(value) !== true || group.size > 0) continue;
      this.#groups.delete(filter);
      this.#trie.remove(filter, group);
    }
  }

  /**
   * Adds each value that the record may concern to `found`, once however many of its topic filters
   * match, and returns `found`.
   */
  match(record: R, found: Set<T>): Set<T> {
    const groups = this.#matched;
    this.#trie.match(record.topic, groups);
    if (groups.size === 0) return found;
    let event: EventView | undefined;
    for (const group of groups) {
      if (group.selective) event ??= this.#read(record);
      if (event === undefined) group.all(found);
      else group.match(event, found);
    }
    groups.clear();
    return found;
  }

  /** Undefined for what is no event: whoever has to do with it has to say so. */
  #read(record: R): EventView | undefined {
    try {
      return this.#eventOf(record);
    } catch {
      return undefined;
    }
  }
}
