import type { Attachment, Delivery, DeliverySink, Receipt } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { EventView, decodeRecord, encodeRecord, type RecordView } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import { TopicTrie } from '@eventmesh/routing';
import type { Ledger } from '../inspect/ledger.ts';
import type { CallerSession } from '../session.ts';
import type { Admitted } from './admit.ts';

export interface DirectDeps {
  readonly site: string;
  readonly ledger: Ledger;
  /** Events waiting for one consumer; beyond it the oldest is dropped. */
  readonly queueMax: number;
  /** Hands a record to the links that lead to these sites. */
  readonly forward: (record: Buffer, destinations: readonly string[]) => void;
}

interface DirectConsumer {
  readonly subscription: Subscription;
  readonly session: CallerSession;
  readonly predicate: Predicate;
  readonly sink: DeliverySink;
  readonly waiting: RecordView[];
  events: number;
  pumping: boolean;
}

/**
 * The direct class: matched in memory, handed to whoever is there, never stored. A consumer that is
 * too slow loses the oldest events, counted; nobody else notices.
 */
export class DirectSwitch {
  readonly #deps: DirectDeps;
  readonly #consumers = new Map<string, TopicTrie<DirectConsumer>>();
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
      },
      admitted.event.bytes,
    );
    ledger.accepted(tenant, 'direct', 1, admitted.event.bytes.length);
    const reached = this.deliver(decodeRecord(record));
    if (directDestinations.length > 0) forward(record, directDestinations);
    return {
      site,
      partition: 0,
      position: 0,
      duplicate: false,
      durability: undefined,
      noInterest: reached === 0 && directDestinations.length === 0,
      destinations: directDestinations,
    };
  }

  /** To the consumers of this emesher; answers how many it matched. */
  deliver(record: RecordView): number {
    const matched = this.#consumers.get(record.tenant)?.match(record.topic);
    if (matched === undefined || matched.size === 0) return 0;
    const event = new EventView(record.event);
    let reached = 0;
    for (const consumer of matched) {
      if (!consumer.predicate(event)) continue;
      reached++;
      consumer.waiting.push(record);
      if (consumer.waiting.length > this.#deps.queueMax) {
        consumer.waiting.shift();
        this.#deps.ledger.directDropped(consumer.subscription, 'slow');
      }
      this.#schedule(consumer);
    }
    return reached;
  }

  /** Whether some consumer here wants a topic. */
  wants(tenant: string, topic: string): boolean {
    return this.#consumers.get(tenant)?.matchesAny(topic) ?? false;
  }

  attach(
    session: CallerSession,
    subscription: Subscription,
    name: string,
    sink: DeliverySink,
  ): Attachment {
    const consumer: DirectConsumer = {
      subscription,
      session,
      predicate: compileFilters(subscription.filters),
      sink,
      waiting: [],
      events: 0,
      pumping: false,
    };
    const { tenant } = subscription;
    const trie = this.#consumers.get(tenant) ?? new TopicTrie<DirectConsumer>();
    this.#consumers.set(tenant, trie);
    for (const filter of subscription.topicFilters) trie.add(filter, consumer);
    return {
      subscription,
      consumer: name,
      convergedSites: [],
      unreachableSites: [],
      credit: (events) => {
        consumer.events += events;
        this.#schedule(consumer);
      },
      // There is nothing to settle: an event of the direct class was done with when it was handed over.
      settle: () => [],
      detach: () => {
        for (const filter of subscription.topicFilters) trie.remove(filter, consumer);
        consumer.events = 0;
        return Promise.resolve();
      },
    };
  }

  #schedule(consumer: DirectConsumer): void {
    if (consumer.pumping) return;
    consumer.pumping = true;
    setImmediate(() => {
      consumer.pumping = false;
      this.#pump(consumer);
    });
  }

  #pump(consumer: DirectConsumer): void {
    const deliveries: Delivery[] = [];
    while (consumer.events > 0) {
      const record = consumer.waiting.shift();
      if (record === undefined) break;
      if (consumer.session.mayReceive(record.topic) !== true) {
        this.#deps.ledger.directDropped(consumer.subscription, 'forbidden');
        continue;
      }
      consumer.events--;
      deliveries.push({
        id: ++this.#ids,
        attempt: 1,
        topic: record.topic,
        event: record.event,
        partition: 0,
        position: 0,
        originSite: record.originSite,
        ingressTimeUs: record.ingressTimeUs,
      });
    }
    if (deliveries.length === 0) return;
    this.#deps.ledger.directDelivered(consumer.subscription, deliveries.length);
    consumer.sink.deliver(deliveries);
  }
}
