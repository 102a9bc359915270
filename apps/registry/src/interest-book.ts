import { create } from '@bufbuild/protobuf';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { InterestSchema, type Interest } from '@eventmesh/proto-gen/registry';
import type { Subscription } from '@eventmesh/proto-gen/subscriber';
import { aggregateInterest } from '@eventmesh/routing';

/** Most filters that a site advertises per tenant and delivery class; above it they are joined. */
export const INTEREST_FILTERS_MAX = 4096;

export const interestKey = ({ tenant, deliveryClass, topicFilter }: Interest): string =>
  `${groupKey(tenant, deliveryClass)}\n${topicFilter}`;

const groupKey = (tenant: string, deliveryClass: DeliveryClass): string =>
  `${tenant}\n${deliveryClass}`;

/** The aggregated interest of this site's subscriptions. */
export class InterestBook {
  readonly #filtersMax: number;
  readonly #groups = new Map<string, Group>();

  constructor(filtersMax: number = INTEREST_FILTERS_MAX) {
    this.#filtersMax = filtersMax;
  }

  add(subscription: Subscription): void {
    const group = this.#group(subscription);
    for (const filter of new Set(subscription.topicFilters)) group.add(filter);
  }

  remove(subscription: Subscription): void {
    const group = this.#group(subscription);
    for (const filter of new Set(subscription.topicFilters)) group.remove(filter);
    if (group.isEmpty) this.#groups.delete(groupKey(group.tenant, group.deliveryClass));
  }

  /** The aggregated interest, in order. It depends on the subscriptions alone, not on history. */
  interest(): Interest[] {
    return [...this.#groups.keys()].sort().flatMap((key) => {
      const group = this.#groups.get(key) as Group;
      return group.aggregated().map((topicFilter) => interestOf(group, topicFilter));
    });
  }

  #group({ tenant, deliveryClass: given }: Subscription): Group {
    const deliveryClass = given || DeliveryClass.DURABLE;
    const key = groupKey(tenant, deliveryClass);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new Group(tenant, deliveryClass, this.#filtersMax);
      this.#groups.set(key, group);
    }
    return group;
  }
}

/**
 * The filters of one tenant and class. Work waits until the interest is read, so that many changes
 * at once cost one aggregation; and a new filter is added to the widest ones alone, not to all.
 */
class Group {
  readonly tenant: string;
  readonly deliveryClass: DeliveryClass;
  readonly #filtersMax: number;
  /** How many subscriptions have the filter. */
  readonly #counts = new Map<string, number>();
  /** Filters that no other one covers, those in `#added` aside; undefined: to be found anew. */
  #widest: string[] | undefined;
  #added: string[] = [];
  /** The widest, joined to keep the limit; undefined: to be made anew. */
  #joined: readonly string[] | undefined;

  constructor(tenant: string, deliveryClass: DeliveryClass, filtersMax: number) {
    this.tenant = tenant;
    this.deliveryClass = deliveryClass;
    this.#filtersMax = filtersMax;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  add(filter: string): void {
    const count = this.#counts.get(filter) ?? 0;
    this.#counts.set(filter, count + 1);
    if (count > 0) return;
    this.#added.push(filter);
    this.#joined = undefined;
  }

  remove(filter: string): void {
    const count = this.#counts.get(filter) ?? 0;
    if (count > 1) {
      this.#counts.set(filter, count - 1);
      return;
    }
    this.#counts.delete(filter);
    this.#widest = undefined;
    this.#joined = undefined;
  }

  aggregated(): readonly string[] {
    if (this.#joined !== undefined) return this.#joined;
    const from =
      this.#widest === undefined ? this.#counts.keys() : [...this.#widest, ...this.#added];
    this.#widest = aggregateInterest(from);
    this.#added = [];
    const fits = this.#widest.length <= this.#filtersMax;
    this.#joined = fits ? this.#widest : aggregateInterest(this.#widest, this.#filtersMax);
    return this.#joined;
  }
}

/** Aggregates entries of any tenants and classes, at most `limit` filters for each. In order. */
export function aggregate(entries: Iterable<Interest>, limit: number): Interest[] {
  const groups = new Map<string, { entry: Interest; filters: string[] }>();
  for (const entry of entries) {
    const key = groupKey(entry.tenant, entry.deliveryClass);
    const group = groups.get(key) ?? { entry, filters: [] };
    groups.set(key, group);
    group.filters.push(entry.topicFilter);
  }
  return [...groups.keys()].sort().flatMap((key) => {
    const { entry, filters } = groups.get(key) as { entry: Interest; filters: string[] };
    return aggregateInterest(filters, limit).map((topicFilter) => interestOf(entry, topicFilter));
  });
}

function interestOf(
  { tenant, deliveryClass }: { tenant: string; deliveryClass: DeliveryClass },
  topicFilter: string,
): Interest {
  return create(InterestSchema, { tenant, deliveryClass, topicFilter });
}
