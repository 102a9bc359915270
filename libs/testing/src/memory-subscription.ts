import { topicMatches, type EventView } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import {
  partAs,
  retryDelayMs,
  type BroadcastPart,
  type DeliveryClass,
  type RetryPolicy,
  type Subscription,
} from '@eventmesh/delivery';
import type {
  Delivery,
  Gap,
  SettleOutcome,
  Settled,
  SubscriptionStatus,
} from '@eventmesh/adapter-api';
import type { MemoryConsumer } from './memory-consumer.ts';

/** An event as the memory mesh keeps it. */
export interface MemoryRecord {
  readonly tenant: string;
  readonly topic: string;
  readonly view: EventView;
  readonly partition: number;
  /** From 1; 0 for the direct class, which is not kept. */
  readonly position: number;
  readonly ingressTimeUs: number;
}

export interface MemoryDeadLetter {
  /** From 1, unique in the mesh. */
  readonly id: number;
  readonly record: MemoryRecord;
  readonly reason: string;
  readonly attempts: number;
  readonly deadMs: number;
}

interface Queued {
  readonly record: MemoryRecord;
  /** Counts offers: what comes again goes where it was. */
  readonly order: number;
  readonly attempt: number;
  readonly failures: number;
}

interface InFlight extends Queued {
  readonly consumer: MemoryConsumer;
}

/** A subscription as it is kept: of a part of a broadcast nothing that its whole has. */
export type MemoryKept =
  | { readonly all: Subscription }
  | { readonly part: BroadcastPart; readonly whole: MemorySubscription };

/** Direct events that wait for a consumer; beyond it the oldest is dropped. */
const DIRECT_QUEUE_MAX = 4096;
/** Ids of a subscription; those of one that was made later, under whatever name, are others. */
const IDS_MAX = 2 ** 20;
let made = 0;

/**
 * A subscription of the memory mesh: a queue, its consumers and its books. Deliveries go out in
 * order to whoever has credit, in a turn of their own, never more than the credit; what is released
 * comes again.
 */
export class MemorySubscription {
  kept: MemoryKept;
  /** Told after each round of deliveries. */
  onRound: () => void = () => undefined;
  readonly deadLetters: MemoryDeadLetter[] = [];
  readonly gaps: Gap[] = [];
  readonly consumers: MemoryConsumer[] = [];
  readonly #site: string;
  #matches: { readonly filters: Subscription['filters']; readonly predicate: Predicate };
  readonly #ready: Queued[] = [];
  readonly #inFlight = new Map<number, InFlight>();
  /** Of delayed releases, with when they are due. */
  readonly #timers = new Map<NodeJS.Timeout, number>();
  readonly #books = {
    considered: 0,
    delivered: 0,
    filtered: 0,
    deadLettered: 0,
    dropped: 0,
    redelivered: 0,
  };
  readonly #nextDeadId: () => number;
  #lastId = ++made * IDS_MAX;
  #offers = 0;
  #scheduled = false;

  constructor(kept: MemoryKept, site: string, nextDeadId: () => number) {
    this.kept = kept;
    this.#nextDeadId = nextDeadId;
    this.#site = site;
    this.#matches = compiled(this.spec.filters);
  }

  get spec(): Subscription {
    return 'all' in this.kept ? this.kept.all : partAs(this.kept.part, this.kept.whole.spec);
  }

  /** Whether it is of this class, and its topic filters match. */
  wants(topic: string, deliveryClass: DeliveryClass): boolean {
    const { spec } = this;
    if (spec.deliveryClass !== deliveryClass) return false;
    return spec.topicFilters.some((filter) => topicMatches(filter, topic));
  }

  /** Looks at an event, and queues it when it matches. */
  offer(record: MemoryRecord): void {
    this.#books.considered++;
    const { deliveryClass, filters } = this.spec;
    if (filters !== this.#matches.filters) this.#matches = compiled(filters);
    if (!this.wants(record.topic, deliveryClass) || !this.#matches.predicate(record.view)) {
      this.#books.filtered++;
      return;
    }
    this.#ready.push({ record, order: ++this.#offers, attempt: 1, failures: 0 });
    if (deliveryClass === 'direct') {
      const room = this.consumers.length === 0 ? 0 : DIRECT_QUEUE_MAX;
      const over = this.#ready.length - room;
      if (over > 0) this.#books.dropped += this.#ready.splice(0, over).length;
    }
    this.schedule();
  }

  /** Begins anew, with what it is offered next. */
  forget(): void {
    this.close();
    this.gaps.length = 0;
    this.#ready.length = 0;
    this.#inFlight.clear();
  }

  /** Delivers what can be, in a turn of its own: nobody is called from within a call of theirs. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#round();
    });
  }

  #round(): void {
    if (this.consumers.length > 0) {
      for (const gap of this.gaps.splice(0)) {
        for (const { sink } of [...this.consumers]) sink.gap(gap);
      }
    }
    const batches = this.spec.paused ? [] : this.#assign();
    for (const [consumer, deliveries] of batches) {
      if (this.consumers.includes(consumer)) consumer.sink.deliver(deliveries);
    }
    for (const consumer of this.consumers) consumer.endDrain();
    this.onRound();
  }

  /** An event to each consumer in turn, while there is credit and room. */
  #assign(): Map<MemoryConsumer, Delivery[]> {
    const batches = new Map<MemoryConsumer, Delivery[]>();
    for (let taker = this.#taker(); taker !== undefined; taker = this.#taker()) {
      const queued = this.#ready.shift();
      if (queued === undefined) break;
      // The next one goes to somebody else, if there is somebody else.
      this.consumers.splice(this.consumers.indexOf(taker), 1);
      this.consumers.push(taker);
      taker.spend(queued.record.view.bytes.length);
      const batch = batches.get(taker) ?? [];
      batches.set(taker, batch);
      batch.push(this.#deliver(queued, taker));
    }
    return batches;
  }

  /** Who may take something: with credit, and not with more than its share of what may be out. */
  #taker(): MemoryConsumer | undefined {
    const { inFlightMax } = this.spec;
    if (this.#inFlight.size >= inFlightMax) return undefined;
    const share = Math.ceil(inFlightMax / Math.max(1, this.consumers.length));
    return this.consumers.find((one) => one.hasCredit && one.out.size < share);
  }

  #deliver(queued: Queued, consumer: MemoryConsumer): Delivery {
    const id = ++this.#lastId;
    if (queued.attempt > 1) this.#books.redelivered++;
    if (this.spec.deliveryClass === 'durable') {
      this.#inFlight.set(id, { ...queued, consumer });
      consumer.out.add(id);
    } else this.#books.delivered++;
    const { record, attempt } = queued;
    const { topic, view, partition, position, ingressTimeUs } = record;
    const place = { topic, partition, position, originSite: this.#site, ingressTimeUs };
    return { id, attempt, event: view.bytes, ...place };
  }

  settle(
    consumer: MemoryConsumer,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): Settled {
    // There is nothing to settle: a direct event was done with when it was handed over.
    if (this.spec.deliveryClass === 'direct') return { refused: [], count: ids.length };
    const all = cumulative ? this.#upTo(consumer, ids) : ids;
    const refused = all.filter((id) => !this.#settleOne(consumer, id, outcome));
    this.schedule();
    return { refused, count: all.length - refused.length };
  }

  /** These, and all that are out at the consumer and older than the newest of them. */
  #upTo({ out }: MemoryConsumer, ids: readonly number[]): number[] {
    const known = ids.filter((id) => id <= this.#lastId);
    const newest = Math.max(-Infinity, ...known);
    return [...new Set([...[...out].filter((id) => id <= newest), ...ids])];
  }

  #settleOne(consumer: MemoryConsumer, id: number, outcome: SettleOutcome): boolean {
    const flight = this.#inFlight.get(id);
    if (flight?.consumer !== consumer) return false;
    if (outcome.kind === 'renew') return true;
    this.#land(id, flight);
    if (outcome.kind === 'return') this.#requeue(flight);
    else if (outcome.kind === 'accept') this.#books.delivered++;
    else if (outcome.kind === 'reject') this.#bury(flight, outcome.reason);
    else this.#release(flight, outcome.delayMs ?? 0);
    return true;
  }

  #land(id: number, { consumer }: InFlight): void {
    this.#inFlight.delete(id);
    consumer.out.delete(id);
  }

  #bury({ record, attempt }: Queued, reason: string): void {
    if (!this.spec.deadLetter) {
      this.#books.dropped++;
      return;
    }
    const id = this.#nextDeadId();
    this.deadLetters.push({ id, record, reason, attempts: attempt, deadMs: Date.now() });
    this.#books.deadLettered++;
  }

  /** A wished delay is no failure; a plain release is one. */
  #release(flight: Queued, delayMs: number): void {
    const next = { ...flight, attempt: flight.attempt + 1 };
    if (delayMs === 0) {
      const failures = flight.failures + 1;
      if (isExhausted(this.spec.retry, failures)) this.#bury(flight, 'released by the consumer');
      else this.#requeue({ ...next, failures });
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#requeue(next);
      this.schedule();
    }, delayMs);
    this.#timers.set(timer, Date.now() + delayMs);
  }

  #requeue(...again: Queued[]): void {
    for (const { record, order, attempt, failures } of again) {
      this.#ready.push({ record, order, attempt, failures });
    }
    this.#ready.sort((a, b) => a.order - b.order);
  }

  /** Takes back what a consumer has, which is no failure, and lets it go. */
  remove(consumer: MemoryConsumer): void {
    const at = this.consumers.indexOf(consumer);
    if (at === -1) return;
    this.consumers.splice(at, 1);
    for (const id of [...consumer.out]) {
      const flight = this.#inFlight.get(id);
      if (flight === undefined) continue;
      this.#land(id, flight);
      this.#requeue({ ...flight, attempt: flight.attempt + 1 });
    }
    consumer.endDrain();
    this.schedule();
  }

  status(): SubscriptionStatus {
    const held = this.#ready.length + this.#inFlight.size + this.#timers.size;
    return {
      ...this.#books,
      held,
      expired: 0,
      lag: 0,
      consumers: this.consumers.length,
      ownerMember: 'memory',
      epoch: 1,
      stuckKeys: [],
      parked: 0,
      parkedKeys: 0,
      stopped: '',
      delayed: this.#timers.size,
      nextDueMs: this.#timers.size === 0 ? 0 : Math.min(...this.#timers.values()),
      paced: 0,
      retryWindow: 0,
      filterErrors: 0,
    };
  }

  /** Ids of deliveries that are not settled, in order. */
  get unsettled(): readonly number[] {
    return [...this.#inFlight.keys()];
  }

  close(): void {
    for (const timer of this.#timers.keys()) clearTimeout(timer);
    this.#timers.clear();
  }
}

const isExhausted = (retry: RetryPolicy, failures: number): boolean =>
  retryDelayMs(retry, failures, () => 0) === undefined;

const compiled = (filters: Subscription['filters']) => ({
  filters,
  predicate: compileFilters(filters),
});
