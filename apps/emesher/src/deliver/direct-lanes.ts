import type { DeliverySink } from '@eventmesh/adapter-api';
import { subscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { RecordView } from '@eventmesh/event';
import { necessaryConditions } from '@eventmesh/filter';
import { MatchTable } from '@eventmesh/routing';
import { isInboxTopic } from '../request/inbox-address.ts';
import type { Inboxes } from '../request/inboxes.ts';
import type { CallerSession } from '../session.ts';
import { DirectBooks, TopicCounts } from './direct-books.ts';
import { DirectConsumer, DirectLane, type DirectLaneDeps } from './direct-lane.ts';
import type { Hold } from './hold.ts';
import { viewOf } from './shared-view.ts';

export interface DirectLanesDeps extends Omit<DirectLaneDeps, 'nextId'> {
  /** Replies go to whoever waits for them. */
  readonly inboxes: Pick<Inboxes, 'deliver'>;
}

type Named = Pick<Subscription, 'tenant' | 'name'>;

/** considered = delivered + filtered + expired + dropped + held. */
export interface DirectCounts {
  readonly considered: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly dropped: number;
  readonly held: number;
  readonly filterErrors: number;
  readonly consumers: number;
}

/** Whoever takes the direct events of a tenant. */
interface Tenant {
  readonly table: MatchTable<RecordView, DirectLane>;
  readonly topics: TopicCounts;
}

/**
 * The direct class: matched in memory, handed to whoever is at this emesher, never stored. A lane
 * that is too slow loses the oldest events, counted; nobody else notices.
 */
export class DirectLanes {
  readonly #inboxes: DirectLanesDeps['inboxes'];
  readonly #laneDeps: DirectLaneDeps;
  readonly #tenants = new Map<string, Tenant>();
  /** By the key of the subscription. */
  readonly #lanes = new Map<string, Set<DirectLane>>();
  /** The same, of all that had consumers here and are there still. */
  readonly #books = new Map<string, DirectBooks>();
  #ids = 0;

  constructor({ inboxes, ...deps }: DirectLanesDeps) {
    this.#inboxes = inboxes;
    this.#laneDeps = { ...deps, nextId: () => ++this.#ids };
  }

  /** To the consumers of this emesher; answers how many lanes it matched. */
  deliver(record: RecordView): number {
    if (isInboxTopic(record.topic)) return this.#inboxes.deliver(record) ? 1 : 0;
    const tenant = this.#tenants.get(record.tenant);
    if (tenant === undefined) return 0;
    tenant.topics.count(record.topic);
    const matched = tenant.table.match(record, new Set());
    if (matched.size === 0) return 0;
    const event = viewOf(record);
    let reached = 0;
    for (const lane of matched) if (lane.offer(record, event)) reached++;
    return reached;
  }

  /** Events that wait in the fullest lane. */
  get waiting(): number {
    let most = 0;
    for (const lanes of this.#lanes.values()) {
      for (const { waiting } of lanes) most = Math.max(most, waiting);
    }
    return most;
  }

  /** Consumers of a subscription at this emesher. */
  consumers(subscription: Named): number {
    return this.#of(subscription).reduce((sum, { consumers }) => sum + consumers.length, 0);
  }

  /** What became of the events of a subscription here; undefined when it never had consumers here. */
  books(subscription: Named): DirectCounts | undefined {
    const books = this.#books.get(subscriptionKey(subscription));
    if (books === undefined) return undefined;
    const { matched, delivered, expired, dropped, filterErrors } = books;
    let { filtered } = books;
    let held = 0;
    for (const lane of this.#of(subscription)) {
      filtered += lane.filtered;
      held += lane.waiting;
    }
    const considered = matched + filtered;
    const consumers = this.consumers(subscription);
    return { considered, delivered, filtered, expired, dropped, held, filterErrors, consumers };
  }

  /** The subscription is no more. */
  forget(subscription: Named): void {
    this.#books.delete(subscriptionKey(subscription));
  }

  attach(
    session: Pick<CallerSession, 'mayReceive'>,
    subscription: Subscription,
    sink: DeliverySink,
  ): Hold {
    const consumer = new DirectConsumer(session, sink);
    const lane = this.#laneFor(subscription);
    lane.enter(consumer);
    return {
      credit: (events, bytes) => lane.credit(consumer, events, bytes),
      drain: () => lane.drain(consumer),
      // There is nothing to settle: an event of the direct class was done with when it was handed over.
      settle: (ids) => ({ refused: [], count: ids.length }),
      detach: () => {
        this.#leave(lane, consumer);
        return Promise.resolve();
      },
    };
  }

  /** Ends every consumer of a subscription here with a reason. */
  end(
    subscription: Named,
    reason: MeshError,
    when: (subscription: Subscription) => boolean = () => true,
  ): void {
    for (const lane of this.#of(subscription)) {
      if (!when(lane.subscription)) continue;
      for (const consumer of [...lane.consumers]) {
        this.#leave(lane, consumer);
        consumer.sink.ended(reason);
      }
    }
  }

  #of(subscription: Named): readonly DirectLane[] {
    return [...(this.#lanes.get(subscriptionKey(subscription)) ?? [])];
  }

  #laneFor(subscription: Subscription): DirectLane {
    const { tenant, mode, topicFilters, filters } = subscription;
    const key = subscriptionKey(subscription);
    const lanes = this.#lanes.get(key) ?? new Set<DirectLane>();
    const [there] = lanes;
    if (there !== undefined && mode !== 'broadcast') return there;
    const { table, topics } = this.#tenantOf(tenant);
    const books = this.#books.get(key) ?? new DirectBooks();
    this.#books.set(key, books);
    const count = filters.length === 0 ? undefined : topics.take(topicFilters);
    const lane = new DirectLane(subscription, this.#laneDeps, { books, topics: count });
    this.#lanes.set(key, lanes.add(lane));
    table.add(topicFilters, necessaryConditions(filters), lane);
    return lane;
  }

  #tenantOf(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) {
      tenant = { table: new MatchTable(viewOf), topics: new TopicCounts() };
      this.#tenants.set(name, tenant);
    }
    return tenant;
  }

  /** With its last consumer a lane goes. */
  #leave(lane: DirectLane, consumer: DirectConsumer): void {
    if (!lane.leave(consumer)) return;
    const { tenant, topicFilters } = lane.subscription;
    const { table, topics } = this.#tenantOf(tenant);
    table.remove(topicFilters, lane);
    const key = subscriptionKey(lane.subscription);
    const books = this.#books.get(key);
    if (books !== undefined) books.filtered += lane.filtered;
    if (lane.topics !== undefined) topics.giveBack(lane.topics);
    const lanes = this.#lanes.get(key);
    if (lanes?.delete(lane) === true && lanes.size === 0) this.#lanes.delete(key);
  }
}
