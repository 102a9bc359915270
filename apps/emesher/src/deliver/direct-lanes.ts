import type { DeliverySink } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { RecordView } from '@eventmesh/event';
import { necessaryConditions } from '@eventmesh/filter';
import { MatchTable } from '@eventmesh/routing';
import { isInboxTopic } from '../request/inbox-address.ts';
import type { Inboxes } from '../request/inboxes.ts';
import type { CallerSession } from '../session.ts';
import { DirectConsumer, DirectLane, type DirectLaneDeps } from './direct-lane.ts';
import type { Hold } from './hold.ts';
import { viewOf } from './shared-view.ts';

export interface DirectLanesDeps extends Omit<DirectLaneDeps, 'nextId'> {
  /** Replies go to whoever waits for them. */
  readonly inboxes: Pick<Inboxes, 'deliver'>;
}

type Named = Pick<Subscription, 'tenant' | 'name'>;

/**
 * The direct class: matched in memory, handed to whoever is at this emesher, never stored. A lane
 * that is too slow loses the oldest events, counted; nobody else notices.
 */
export class DirectLanes {
  readonly #inboxes: DirectLanesDeps['inboxes'];
  readonly #laneDeps: DirectLaneDeps;
  /** By tenant. */
  readonly #tables = new Map<string, MatchTable<RecordView, DirectLane>>();
  /** By `tenant/name` of the subscription. */
  readonly #lanes = new Map<string, Set<DirectLane>>();
  #ids = 0;

  constructor({ inboxes, ...deps }: DirectLanesDeps) {
    this.#inboxes = inboxes;
    this.#laneDeps = { ...deps, nextId: () => ++this.#ids };
  }

  /** To the consumers of this emesher; answers how many lanes it matched. */
  deliver(record: RecordView): number {
    if (isInboxTopic(record.topic)) return this.#inboxes.deliver(record) ? 1 : 0;
    const matched = this.#tables.get(record.tenant)?.match(record, new Set());
    if (matched === undefined || matched.size === 0) return 0;
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
    return [...(this.#lanes.get(keyOf(subscription)) ?? [])];
  }

  #laneFor(subscription: Subscription): DirectLane {
    const { tenant, mode, topicFilters, filters } = subscription;
    const key = keyOf(subscription);
    const lanes = this.#lanes.get(key) ?? new Set<DirectLane>();
    const [there] = lanes;
    if (there !== undefined && mode !== 'broadcast') return there;
    const lane = new DirectLane(subscription, this.#laneDeps);
    this.#lanes.set(key, lanes.add(lane));
    const table = this.#tables.get(tenant) ?? new MatchTable<RecordView, DirectLane>(viewOf);
    this.#tables.set(tenant, table);
    table.add(topicFilters, necessaryConditions(filters), lane);
    return lane;
  }

  /** With its last consumer a lane goes. */
  #leave(lane: DirectLane, consumer: DirectConsumer): void {
    if (!lane.leave(consumer)) return;
    const { tenant, topicFilters } = lane.subscription;
    this.#tables.get(tenant)?.remove(topicFilters, lane);
    const key = keyOf(lane.subscription);
    const lanes = this.#lanes.get(key);
    if (lanes?.delete(lane) === true && lanes.size === 0) this.#lanes.delete(key);
  }
}

const keyOf = ({ tenant, name }: Named): string => `${tenant}/${name}`;
