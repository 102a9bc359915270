import type { Delivery, DeliverySink, Receipt } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import { decodeRecord, encodeRecord, type RecordView } from '@eventmesh/event';
import { compileFilters, necessaryConditions, type Predicate } from '@eventmesh/filter';
import { MatchTable } from '@eventmesh/routing';
import type { Hold } from '../deliver/hold.ts';
import { viewOf } from '../deliver/shared-view.ts';
import type { Ledger } from '../inspect/ledger.ts';
import { isInboxTopic } from '../request/inbox-address.ts';
import type { Inboxes } from '../request/inboxes.ts';
import type { CallerSession } from '../session.ts';
import type { Admitted } from './admit.ts';
import { tracedBytes } from './spans.ts';

export interface DirectDeps {
  readonly site: string;
  readonly ledger: Ledger;
  /** Events waiting in one lane; beyond it the oldest is dropped. */
  readonly queueMax: number;
  /** Replies go to whoever waits for them. */
  readonly inboxes: Pick<Inboxes, 'deliver'>;
  /**
   * Hands a record to the links that lead to these sites, and to the other emeshers of this site
   * when somebody there wants it. Answers whether somebody of this site may.
   */
  readonly forward: (
    record: Buffer,
    view: RecordView,
    destinations: readonly string[],
    here: boolean,
  ) => boolean;
}

interface DirectConsumer {
  readonly session: CallerSession;
  readonly sink: DeliverySink;
  events: number;
  bytes: number;
  bytesBounded: boolean;
}

/**
 * Where events wait for whoever takes them: all consumers of a shared subscription compete at one
 * lane; in a broadcast each has its own.
 */
interface Lane {
  readonly subscription: Subscription;
  readonly predicate: Predicate;
  readonly consumers: DirectConsumer[];
  readonly waiting: RecordView[];
  pumping: boolean;
}

/**
 * The direct class: matched in memory, handed to whoever is there, never stored. A lane that is
 * too slow loses the oldest events, counted; nobody else notices.
 */
export class DirectSwitch {
  readonly #deps: DirectDeps;
  /** By tenant. */
  readonly #tables = new Map<string, MatchTable<RecordView, Lane>>();
  /** By `tenant/name` of the subscription. */
  readonly #lanes = new Map<string, Set<Lane>>();
  #ids = 0;

  constructor(deps: DirectDeps) {
    this.#deps = deps;
  }

  publish(session: CallerSession, admitted: Admitted, timeUs: number): Receipt {
    const { site, ledger, forward } = this.#deps;
    const { tenant, name } = session.principal;
    const { topic, directDestinations } = admitted.resolved;
    const record = encodeRecord(
      {
        tenant,
        topic,
        principal: name,
        originSite: site,
        destinations: directDestinations,
        key: admitted.key,
        ingressTimeUs: timeUs,
        expiryMs: admitted.expiryMs,
        traceparent: admitted.traceparent,
        hops: [],
        handling: admitted.resolved.handling,
      },
      tracedBytes(admitted, admitted.traceparent),
    );
    ledger.accepted(tenant, 'direct', 1, admitted.event.bytes.length);
    const view = decodeRecord(record);
    const reached = this.deliver(view);
    const wantedHere = forward(record, view, directDestinations, true) || reached > 0;
    return {
      site,
      partition: 0,
      position: 0,
      duplicate: false,
      durability: undefined,
      noInterest: !wantedHere && directDestinations.length === 0,
      destinations: directDestinations,
    };
  }

  /** To the consumers of this emesher; answers how many lanes it matched. */
  deliver(record: RecordView): number {
    if (isInboxTopic(record.topic)) return this.#deps.inboxes.deliver(record) ? 1 : 0;
    const matched = this.#tables.get(record.tenant)?.match(record, new Set());
    if (matched === undefined || matched.size === 0) return 0;
    const event = viewOf(record);
    let reached = 0;
    for (const lane of matched) {
      if (!lane.predicate(event)) continue;
      reached++;
      lane.waiting.push(record);
      if (lane.waiting.length > this.#deps.queueMax) {
        lane.waiting.shift();
        this.#deps.ledger.directDropped(lane.subscription, 'slow');
      }
      this.#schedule(lane);
    }
    return reached;
  }

  /** Events that wait in the fullest lane. */
  get waiting(): number {
    let most = 0;
    for (const lanes of this.#lanes.values()) {
      for (const { waiting } of lanes) most = Math.max(most, waiting.length);
    }
    return most;
  }

  /** Consumers of a subscription at this emesher. */
  consumers({ tenant, name }: Pick<Subscription, 'tenant' | 'name'>): number {
    let count = 0;
    for (const lane of this.#lanes.get(`${tenant}/${name}`) ?? []) count += lane.consumers.length;
    return count;
  }

  attach(session: CallerSession, subscription: Subscription, sink: DeliverySink): Hold {
    const consumer = { session, sink, events: 0, bytes: 0, bytesBounded: false };
    const lane = this.#lane(subscription);
    lane.consumers.push(consumer);
    return {
      credit: (events, bytes) => {
        consumer.events += events;
        consumer.bytes += bytes;
        if (bytes > 0) consumer.bytesBounded = true;
        this.#schedule(lane);
      },
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
    { tenant, name }: Pick<Subscription, 'tenant' | 'name'>,
    reason: MeshError,
    when: (subscription: Subscription) => boolean = () => true,
  ): void {
    for (const lane of [...(this.#lanes.get(`${tenant}/${name}`) ?? [])]) {
      if (!when(lane.subscription)) continue;
      for (const consumer of [...lane.consumers]) {
        this.#leave(lane, consumer);
        consumer.sink.ended(reason);
      }
    }
  }

  #lane(subscription: Subscription): Lane {
    const { tenant, name, mode, topicFilters, filters } = subscription;
    const key = `${tenant}/${name}`;
    const lanes = this.#lanes.get(key) ?? new Set<Lane>();
    const [there] = lanes;
    if (there !== undefined && mode !== 'broadcast') return there;
    const lane: Lane = {
      subscription,
      predicate: compileFilters(filters),
      consumers: [],
      waiting: [],
      pumping: false,
    };
    this.#lanes.set(key, lanes.add(lane));
    const table = this.#tables.get(tenant) ?? new MatchTable<RecordView, Lane>(viewOf);
    this.#tables.set(tenant, table);
    table.add(topicFilters, necessaryConditions(filters), lane);
    return lane;
  }

  /** With the last consumer the lane goes, and what waits in it. */
  #leave(lane: Lane, consumer: DirectConsumer): void {
    const at = lane.consumers.indexOf(consumer);
    if (at === -1) return;
    lane.consumers.splice(at, 1);
    if (lane.consumers.length > 0) return;
    const { tenant, name, topicFilters } = lane.subscription;
    const key = `${tenant}/${name}`;
    this.#tables.get(tenant)?.remove(topicFilters, lane);
    const lanes = this.#lanes.get(key);
    if (lanes?.delete(lane) === true && lanes.size === 0) this.#lanes.delete(key);
    for (let n = lane.waiting.length; n > 0; n--) {
      this.#deps.ledger.directDropped(lane.subscription, 'slow');
    }
    lane.waiting.length = 0;
  }

  #schedule(lane: Lane): void {
    if (lane.pumping) return;
    lane.pumping = true;
    setImmediate(() => {
      lane.pumping = false;
      this.#pump(lane);
    });
  }

  /** Whoever has credit takes the next event in turn. */
  #pump(lane: Lane): void {
    const taken = new Map<DirectConsumer, Delivery[]>();
    while (lane.waiting.length > 0) {
      const consumer = nextInTurn(lane.consumers);
      if (consumer === undefined) break;
      const record = lane.waiting.shift();
      if (record === undefined) break;
      if (consumer.session.mayReceive(record.topic) !== true) {
        this.#deps.ledger.directDropped(lane.subscription, 'forbidden');
        continue;
      }
      consumer.events--;
      if (consumer.bytesBounded) consumer.bytes -= record.event.length;
      const deliveries = taken.get(consumer) ?? [];
      taken.set(consumer, deliveries);
      deliveries.push(this.#delivery(record));
    }
    for (const [consumer, deliveries] of taken) {
      this.#deps.ledger.directDelivered(lane.subscription, deliveries.length);
      consumer.sink.deliver(deliveries);
    }
  }

  #delivery(record: RecordView): Delivery {
    return {
      id: ++this.#ids,
      attempt: 1,
      topic: record.topic,
      event: record.event,
      partition: 0,
      position: 0,
      originSite: record.originSite,
      ingressTimeUs: record.ingressTimeUs,
    };
  }
}

const ready = ({ events, bytes, bytesBounded }: DirectConsumer): boolean =>
  events > 0 && (!bytesBounded || bytes > 0);

/** Takes the next consumer with credit and puts it last in the line. */
function nextInTurn(consumers: DirectConsumer[]): DirectConsumer | undefined {
  const at = consumers.findIndex(ready);
  if (at === -1) return undefined;
  const [consumer] = consumers.splice(at, 1);
  if (consumer !== undefined) consumers.push(consumer);
  return consumer;
}
