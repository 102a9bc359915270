import type { Delivery, DeliverySink } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { hasExpired, type EventView, type RecordView } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import { nextTurn } from '@eventmesh/time';
import type { DirectDrop, Ledger } from '../inspect/ledger.ts';
import type { CallerSession } from '../session.ts';
import type { DirectBooks, TopicsCount } from './direct-books.ts';

export interface DirectLaneDeps {
  readonly ledger: Pick<Ledger, 'directDelivered' | 'directDropped' | 'directExpired'>;
  /** Events that wait in one lane; beyond it the oldest is dropped. */
  readonly queueMax: number;
  /** Ms since the epoch, for the life of events. */
  readonly now: () => number;
  readonly nextId: () => number;
}

/** Where a lane counts. */
export interface LaneBooks {
  /** Of its subscription. */
  readonly books: DirectBooks;
  /** Events of its topics; undefined when there are no filters that rule some of them out. */
  readonly topics: TopicsCount | undefined;
}

/** Somebody who takes direct events, and how many more, and bytes of them, it is ready for. */
export class DirectConsumer {
  readonly session: Pick<CallerSession, 'mayReceive'>;
  readonly sink: DeliverySink;
  #events = 0;
  #bytes = 0;
  #bytesBounded = false;

  constructor(session: Pick<CallerSession, 'mayReceive'>, sink: DeliverySink) {
    this.session = session;
    this.sink = sink;
  }

  get isReady(): boolean {
    return this.#events > 0 && (!this.#bytesBounded || this.#bytes > 0);
  }

  give(events: number, bytes: number): void {
    this.#events += events;
    this.#bytes += bytes;
    if (bytes > 0) this.#bytesBounded = true;
  }

  withdraw(): void {
    this.#events = 0;
    this.#bytes = 0;
    this.#bytesBounded = false;
  }

  take(bytes: number): void {
    this.#events--;
    if (this.#bytesBounded) this.#bytes -= bytes;
  }
}

/**
 * Where the direct events of a subscription wait for whoever takes them, in memory and bounded: all
 * consumers of a shared one compete at one lane, in a broadcast each has its own.
 */
export class DirectLane {
  readonly subscription: Subscription;
  readonly topics: TopicsCount | undefined;
  readonly #deps: DirectLaneDeps;
  readonly #predicate: Predicate;
  readonly #consumers: DirectConsumer[] = [];
  readonly #waiting: RecordView[] = [];
  readonly #books: DirectBooks;
  /** Events of its topics when it began. */
  readonly #before: number;
  #matched = 0;
  #scheduled = false;

  constructor(subscription: Subscription, deps: DirectLaneDeps, { books, topics }: LaneBooks) {
    this.subscription = subscription;
    this.topics = topics;
    this.#deps = deps;
    this.#books = books;
    this.#before = topics?.events ?? 0;
    this.#predicate = compileFilters(subscription.filters, {
      onError: () => books.filterErrors++,
    });
  }

  get consumers(): readonly DirectConsumer[] {
    return this.#consumers;
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Events of its topics that its filters ruled out. */
  get filtered(): number {
    return this.topics === undefined ? 0 : this.topics.events - this.#before - this.#matched;
  }

  /** Takes an event of its topics if the filters match it; answers whether they do. */
  offer(record: RecordView, event: EventView): boolean {
    if (!this.#predicate(event)) return false;
    const { queueMax, now } = this.#deps;
    this.#matched++;
    this.#books.matched++;
    if (hasExpired(record.expiryMs, now())) {
      this.#expired();
      return true;
    }
    this.#waiting.push(record);
    if (this.#waiting.length > queueMax) {
      this.#waiting.shift();
      this.#dropped('slow', 1);
    }
    this.#schedule();
    return true;
  }

  enter(consumer: DirectConsumer): void {
    this.#consumers.push(consumer);
  }

  credit(consumer: DirectConsumer, events: number, bytes: number): void {
    consumer.give(events, bytes);
    this.#schedule();
  }

  /** Takes back what is left of a consumer's credit once it has what waits. */
  async drain(consumer: DirectConsumer): Promise<void> {
    this.#schedule();
    // Behind the hand-out that is scheduled now.
    await nextTurn();
    consumer.withdraw();
  }

  /** With the last consumer goes what waits. Answers whether this was one of it, and the last. */
  leave(consumer: DirectConsumer): boolean {
    const at = this.#consumers.indexOf(consumer);
    if (at === -1) return false;
    this.#consumers.splice(at, 1);
    if (this.#consumers.length > 0) return false;
    this.#dropped('left', this.#waiting.length);
    this.#waiting.length = 0;
    return true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#handOut();
    });
  }

  /** Whoever has credit takes the next event in turn. */
  #handOut(): void {
    const { ledger } = this.#deps;
    const taken = new Map<DirectConsumer, Delivery[]>();
    while (this.#waiting.length > 0) {
      const consumer = this.#nextInTurn();
      if (consumer === undefined) break;
      const record = this.#waiting.shift();
      if (record === undefined || !this.#mayGo(record, consumer)) continue;
      consumer.take(record.event.length);
      const deliveries = taken.get(consumer) ?? [];
      taken.set(consumer, deliveries);
      deliveries.push(toDelivery(record, this.#deps.nextId()));
    }
    for (const [consumer, deliveries] of taken) {
      ledger.directDelivered(this.subscription, deliveries.length);
      this.#books.delivered += deliveries.length;
      consumer.sink.deliver(deliveries);
    }
  }

  /** Counted when it may not. */
  #mayGo({ topic, expiryMs }: RecordView, { session }: DirectConsumer): boolean {
    if (hasExpired(expiryMs, this.#deps.now())) this.#expired();
    else if (session.mayReceive(topic) === true) return true;
    else this.#dropped('forbidden', 1);
    return false;
  }

  #expired(): void {
    this.#books.expired++;
    this.#deps.ledger.directExpired(this.subscription);
  }

  #dropped(reason: DirectDrop, events: number): void {
    this.#books.dropped += events;
    this.#deps.ledger.directDropped(this.subscription, reason, events);
  }

  /** The next consumer with credit, which is the last in the line from now on. */
  #nextInTurn(): DirectConsumer | undefined {
    const at = this.#consumers.findIndex(({ isReady }) => isReady);
    if (at === -1) return undefined;
    const [consumer] = this.#consumers.splice(at, 1);
    if (consumer !== undefined) this.#consumers.push(consumer);
    return consumer;
  }
}

function toDelivery(record: RecordView, id: number): Delivery {
  const { topic, event, originSite, ingressTimeUs } = record;
  return { id, attempt: 1, topic, event, partition: 0, position: 0, originSite, ingressTimeUs };
}
