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

/**
 * The interest of this site's subscriptions, counted per filter and aggregated anew only for the
 * tenant and class that changed.
 */
export class InterestBook {
  readonly #groups = new Map<string, Group>();

  add(subscription: Subscription): void {
    this.#count(subscription, 1);
  }

  remove(subscription: Subscription): void {
    this.#count(subscription, -1);
  }

  /** The aggregated interest, in order. */
  interest(): Interest[] {
    const out: Interest[] = [];
    for (const key of [...this.#groups.keys()].sort()) {
      const group = this.#groups.get(key) as Group;
      group.aggregated ??= aggregateInterest(group.filters.keys(), INTEREST_FILTERS_MAX).map(
        (topicFilter) => interestOf(group, topicFilter),
      );
      out.push(...group.aggregated);
    }
    return out;
  }

  #count(subscription: Subscription, by: 1 | -1): void {
    const { tenant } = subscription;
    const deliveryClass = subscription.deliveryClass || DeliveryClass.DURABLE;
    const key = groupKey(tenant, deliveryClass);
    const group: Group = this.#groups.get(key) ?? { tenant, deliveryClass, filters: new Map() };
    this.#groups.set(key, group);
    for (const filter of new Set(subscription.topicFilters)) {
      const count = (group.filters.get(filter) ?? 0) + by;
      if (count > 0) group.filters.set(filter, count);
      else group.filters.delete(filter);
    }
    group.aggregated = undefined;
    if (group.filters.size === 0) this.#groups.delete(key);
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

interface Group {
  readonly tenant: string;
  readonly deliveryClass: DeliveryClass;
  /** How many subscriptions have the filter. */
  readonly filters: Map<string, number>;
  aggregated?: Interest[] | undefined;
}

function interestOf(
  { tenant, deliveryClass }: { tenant: string; deliveryClass: DeliveryClass },
  topicFilter: string,
): Interest {
  return create(InterestSchema, { tenant, deliveryClass, topicFilter });
}
