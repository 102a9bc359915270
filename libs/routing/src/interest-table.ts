import { TopicTrie } from './topic-trie.ts';

/** Some subscription at a site wants these topics. */
export interface InterestEntry {
  readonly tenant: string;
  readonly topicFilter: string;
  /** The number of the delivery class in `eventmesh.event.v1.DeliveryClass`. */
  readonly deliveryClass: number;
}

export interface SiteInterestEntries {
  readonly site: string;
  readonly interest: readonly InterestEntry[];
}

export interface InterestTableOptions {
  /** Most topics whose destinations are remembered, over all tenants. Default 10,000. */
  readonly cachedTopicsMax?: number;
}

const NOBODY: readonly string[] = Object.freeze([]);

/**
 * Which sites want a topic. Answers come from a bounded cache per topic that any change of interest
 * empties, so that a busy topic costs two map lookups.
 */
export class InterestTable {
  readonly #cachedTopicsMax: number;
  /** By tenant and delivery class. */
  readonly #scopes = new Map<string, Scope>();
  readonly #sites = new Map<string, Map<string, InterestEntry>>();
  #cached = 0;
  #version = 0;

  constructor(options: InterestTableOptions = {}) {
    this.#cachedTopicsMax = options.cachedTopicsMax ?? 10_000;
  }

  /** Raised by every update that changed something. */
  get version(): number {
    return this.#version;
  }

  /** Sites with any interest, in order. */
  get sites(): readonly string[] {
    return [...this.#sites.keys()].sort();
  }

  /**
   * Replaces the interest of all sites. Only differences are worked in; returns whether there were
   * any.
   */
  update(all: Iterable<SiteInterestEntries>): boolean {
    let changed = false;
    const gone = new Set(this.#sites.keys());
    for (const { site, interest } of all) {
      gone.delete(site);
      if (this.#updateSite(site, interest)) changed = true;
    }
    for (const site of gone) if (this.#updateSite(site, [])) changed = true;
    if (changed) {
      this.#version++;
      this.#forget();
    }
    return changed;
  }

  /**
   * Sites with interest in a topic, in order and each once. The array is shared: do not change it.
   * Interest of sites that cannot be reached now counts, since durable events wait for them.
   */
  destinationsFor(tenant: string, topic: string, deliveryClass: number): readonly string[] {
    const scope = this.#scopes.get(scopeKey(tenant, deliveryClass));
    if (scope === undefined) return NOBODY;
    const known = scope.cache.get(topic);
    if (known !== undefined) return known;
    const found = scope.trie.match(topic);
    const sites = found.size === 0 ? NOBODY : Object.freeze([...found].sort());
    // All at once rather than one by one: no bookkeeping on a hit, and a miss costs microseconds.
    if (this.#cached >= this.#cachedTopicsMax) this.#forget();
    scope.cache.set(topic, sites);
    this.#cached++;
    return sites;
  }

  #updateSite(site: string, interest: readonly InterestEntry[]): boolean {
    const before = this.#sites.get(site) ?? new Map<string, InterestEntry>();
    const after = new Map(interest.map((entry) => [entryKey(entry), entry]));
    let changed = false;
    for (const [key, entry] of after) {
      if (before.has(key)) continue;
      this.#scope(entry).trie.add(entry.topicFilter, site);
      changed = true;
    }
    for (const [key, entry] of before) {
      if (after.has(key)) continue;
      const { trie } = this.#scope(entry);
      trie.remove(entry.topicFilter, site);
      if (trie.size === 0) this.#scopes.delete(scopeKey(entry.tenant, entry.deliveryClass));
      changed = true;
    }
    if (after.size === 0) this.#sites.delete(site);
    else this.#sites.set(site, after);
    return changed;
  }

  #scope({ tenant, deliveryClass }: InterestEntry): Scope {
    const key = scopeKey(tenant, deliveryClass);
    let scope = this.#scopes.get(key);
    if (scope === undefined) {
      scope = { trie: new TopicTrie(), cache: new Map() };
      this.#scopes.set(key, scope);
    }
    return scope;
  }

  #forget(): void {
    for (const { cache } of this.#scopes.values()) cache.clear();
    this.#cached = 0;
  }
}

interface Scope {
  readonly trie: TopicTrie<string>;
  readonly cache: Map<string, readonly string[]>;
}

const scopeKey = (tenant: string, deliveryClass: number): string => `${deliveryClass}/${tenant}`;

// No tenant name and no topic filter holds a line break.
const entryKey = (entry: InterestEntry): string =>
  `${entry.deliveryClass}/${entry.tenant}\n${entry.topicFilter}`;
