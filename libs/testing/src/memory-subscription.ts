import type { MeshError } from '@eventmesh/errors';
import { topicMatches, type EventView } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import type { Subscription } from '@eventmesh/delivery';
import type {
  Attachment,
  Delivery,
  DeliverySink,
  SettleOutcome,
  Settled,
  SubscriptionStatus,
} from '@eventmesh/adapter-api';

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
  attempt: number;
}

interface InFlight extends Queued {
  readonly consumer: MemoryConsumer;
}

/**
 * A subscription of the memory mesh: a queue, its consumers and its books. Deliveries go out in
 * order to whoever has credit, never more than the credit; what is released comes again.
 */
export class MemorySubscription {
  spec: Subscription;
  readonly deadLetters: MemoryDeadLetter[] = [];
  readonly gaps: { partition: number; from: number; to: number }[] = [];
  readonly consumers: MemoryConsumer[] = [];
  readonly #site: string;
  readonly #matches: Predicate;
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
  #lastId = 0;
  #pumping = false;

  constructor(spec: Subscription, site: string, nextDeadId: () => number) {
    this.spec = spec;
    this.#nextDeadId = nextDeadId;
    this.#site = site;
    this.#matches = compileFilters(spec.filters);
  }

  /** Looks at an event, and queues it when it matches. */
  offer(record: MemoryRecord): void {
    this.#books.considered++;
    const { topicFilters } = this.spec;
    const wanted = topicFilters.some((filter) => topicMatches(filter, record.topic));
    if (!wanted || !this.#matches(record.view)) {
      this.#books.filtered++;
      return;
    }
    this.#ready.push({ record, attempt: 1 });
    this.pump();
    if (this.spec.deliveryClass === 'direct') {
      this.#books.dropped += this.#ready.splice(0).length;
    }
  }

  forget(): void {
    this.#ready.length = 0;
    this.#inFlight.clear();
  }

  /** Delivers while there is something to deliver and a consumer with credit. */
  pump(): void {
    if (this.#pumping || this.spec.paused) return;
    this.#pumping = true;
    try {
      for (let batch = this.#next(); batch !== undefined; batch = this.#next()) {
        batch.consumer.sink.deliver(batch.deliveries);
      }
    } finally {
      this.#pumping = false;
    }
  }

  #next(): { consumer: MemoryConsumer; deliveries: Delivery[] } | undefined {
    const consumer = this.consumers.find((one) => one.hasCredit);
    if (consumer === undefined) return undefined;
    // The next batch goes to somebody else, if there is somebody else.
    this.consumers.splice(this.consumers.indexOf(consumer), 1);
    this.consumers.push(consumer);
    const deliveries: Delivery[] = [];
    while (consumer.hasCredit && this.#inFlight.size < this.spec.inFlightMax) {
      const queued = this.#ready.shift();
      if (queued === undefined) break;
      consumer.spend(queued.record.view.bytes.length);
      deliveries.push(this.#deliver(queued, consumer));
    }
    return deliveries.length === 0 ? undefined : { consumer, deliveries };
  }

  #deliver(queued: Queued, consumer: MemoryConsumer): Delivery {
    const id = ++this.#lastId;
    if (queued.attempt > 1) this.#books.redelivered++;
    if (this.spec.deliveryClass === 'durable') this.#inFlight.set(id, { ...queued, consumer });
    else this.#books.delivered++;
    const { record, attempt } = queued;
    const { topic, view, partition, position, ingressTimeUs } = record;
    const event = view.bytes;
    return {
      id,
      attempt,
      topic,
      event,
      partition,
      position,
      originSite: this.#site,
      ingressTimeUs,
    };
  }

  settle(
    consumer: MemoryConsumer,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): Settled {
    const unknown = ids.filter((id) => this.#inFlight.get(id)?.consumer !== consumer);
    const last = Math.max(...ids);
    const all = cumulative
      ? [...this.#inFlight].filter(([id, one]) => id <= last && one.consumer === consumer)
      : ids.map((id) => [id, this.#inFlight.get(id)] as const);
    let count = 0;
    for (const [id, flight] of all) {
      if (flight?.consumer !== consumer) continue;
      this.#settleOne(id, flight, outcome);
      count++;
    }
    this.pump();
    return { refused: unknown, count };
  }

  #settleOne(id: number, flight: InFlight, outcome: SettleOutcome): void {
    if (outcome.kind === 'renew') return;
    this.#inFlight.delete(id);
    if (outcome.kind === 'return') {
      const { record, attempt } = flight;
      this.#requeue([{ record, attempt }]);
      return;
    }
    if (outcome.kind === 'accept') this.#books.delivered++;
    else if (outcome.kind === 'reject') this.#bury(flight, outcome.reason);
    else this.#release(flight, outcome.delayMs);
  }

  #bury({ record, attempt }: Queued, reason: string): void {
    const id = this.#nextDeadId();
    this.deadLetters.push({ id, record, reason, attempts: attempt, deadMs: Date.now() });
    this.#books.deadLettered++;
  }

  #release(flight: InFlight, delayMs: number | undefined): void {
    const { record } = flight;
    // A wished delay is no failure; a plain release is one.
    const attempt = flight.attempt + 1;
    if (delayMs === undefined && attempt > this.spec.retry.attemptsMax) {
      this.#bury(flight, 'too many attempts');
      return;
    }
    if (delayMs === undefined || delayMs === 0) {
      this.#requeue([{ record, attempt }]);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#requeue([{ record, attempt }]);
      this.pump();
    }, delayMs);
    this.#timers.set(timer, Date.now() + delayMs);
  }

  #requeue(again: Queued[]): void {
    this.#ready.unshift(...again);
    this.#ready.sort((a, b) => a.record.position - b.record.position);
  }

  remove(consumer: MemoryConsumer): void {
    const at = this.consumers.indexOf(consumer);
    if (at === -1) return;
    this.consumers.splice(at, 1);
    const again: Queued[] = [];
    for (const [id, flight] of this.#inFlight) {
      if (flight.consumer !== consumer) continue;
      this.#inFlight.delete(id);
      again.push({ record: flight.record, attempt: flight.attempt + 1 });
    }
    this.#requeue(again);
    this.pump();
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

/** One consumer's hold on a memory subscription. */
export class MemoryConsumer implements Attachment {
  readonly consumer: string;
  readonly sink: DeliverySink;
  readonly convergedSites: readonly string[];
  readonly unreachableSites: readonly string[] = [];
  readonly #owner: MemorySubscription;
  readonly #asked: MemorySubscription;
  readonly #gone: () => void;
  #events = 0;
  #bytes = Number.POSITIVE_INFINITY;
  #attached = true;

  constructor(
    owner: MemorySubscription,
    options: {
      /** What was asked for, when the owner is a part of it: a broadcast. */
      subscription?: MemorySubscription;
      consumer: string;
      sink: DeliverySink;
      site: string;
      gone: () => void;
    },
  ) {
    this.#owner = owner;
    this.#asked = options.subscription ?? owner;
    this.consumer = options.consumer;
    this.sink = options.sink;
    this.convergedSites = [options.site];
    this.#gone = options.gone;
  }

  get subscription(): Subscription {
    return this.#asked.spec;
  }

  get hasCredit(): boolean {
    return this.#events > 0 && this.#bytes > 0;
  }

  /** Events that may still be delivered. */
  get creditLeft(): number {
    return this.#events;
  }

  spend(bytes: number): void {
    this.#events--;
    this.#bytes -= bytes;
  }

  credit(events: number, bytes = 0): void {
    if (!this.#attached) return;
    this.#events += events;
    if (bytes > 0) this.#bytes = (Number.isFinite(this.#bytes) ? this.#bytes : 0) + bytes;
    for (const gap of this.#owner.gaps.splice(0)) this.sink.gap(gap);
    this.#owner.pump();
  }

  /** Never synchronously, so that nobody comes to depend on it. */
  async drain(): Promise<void> {
    await Promise.resolve();
    this.#events = 0;
    this.#bytes = Number.POSITIVE_INFINITY;
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative = false): Settled {
    return this.#owner.settle(this, ids, outcome, cumulative);
  }

  detach(): Promise<void> {
    if (this.#attached) {
      this.#attached = false;
      this.#owner.remove(this);
      this.#gone();
    }
    return Promise.resolve();
  }

  /** The mesh's side of the end. */
  end(reason: MeshError | undefined): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#owner.remove(this);
    this.#gone();
    this.sink.ended(reason);
  }
}
