import type { EventView } from '@eventmesh/event';
import { atomicFault, checkEvent, checkTopic, topicMatches } from '@eventmesh/event';
import {
  drainingError,
  type AttachOptions,
  type Attachment,
  type DeadLettersPort,
  type DeliverySink,
  type InspectPort,
  type MeshPort,
  type Principal,
  type Producer,
  type PublishItem,
  type PublishOptions,
  type Receipt,
  type RequestOptions,
  type Session,
  type SubscriptionsPort,
} from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { MemoryBook } from './memory-book.ts';
import { MemoryConsumer } from './memory-consumer.ts';
import { MemoryDeadLetters } from './memory-dead-letters.ts';
import { memoryInspect } from './memory-inspect.ts';
import { MemoryLog } from './memory-log.ts';
import {
  atomicProblem,
  checkConsumer,
  checkRequest,
  denied,
  exclusive,
  principalEnded,
  unauthenticated,
} from './memory-refusals.ts';
import { MemoryProducers } from './memory-producers.ts';
import { MemoryReplays } from './memory-replays.ts';
import { MemoryRequests } from './memory-requests.ts';
import { MemoryScheduled } from './memory-scheduled.ts';
import type { MemoryRecord, MemorySubscription } from './memory-subscription.ts';

/** Who may call, and what for. */
export interface MemoryUser {
  readonly principal: Principal;
  /** Topic filters it may publish to. */
  readonly publish: readonly string[];
  /** Topic filters it may subscribe to. */
  readonly subscribe: readonly string[];
  /** Ms since the epoch; 0 for never. */
  readonly expiresMs?: number;
}

const user = (
  tenant: string,
  name: string,
  publish: string[],
  subscribe: string[],
): MemoryUser => ({
  principal: { tenant, kind: 'user', name, roles: [] },
  publish,
  subscribe,
});

/** By `Authorization` value. `mallory` is of another tenant. */
export const MEMORY_USERS: Readonly<Record<string, MemoryUser>> = Object.freeze({
  'Bearer alice': user('acme', 'alice', ['#'], ['#']),
  'Bearer reader': user('acme', 'reader', [], ['public/#']),
  'Bearer mallory': user('evil', 'mallory', ['#'], ['#']),
});

export interface MemoryMeshOptions {
  /** Default `memory`. */
  readonly site?: string;
  /** Default 1 MiB. */
  readonly eventBytesMax?: number;
  /** Default 1. Events with a `partitionkey` are spread by it, others go to partition 0. */
  readonly partitions?: number;
  readonly users?: Readonly<Record<string, MemoryUser>>;
}

/**
 * A whole mesh of one site in memory, for suites of protocol adapters: it authenticates, authorises,
 * checks, stores, matches, delivers by credit and keeps books as the real one does; the MeshPort
 * contract says in what. Beside that it is simpler: what fails comes again at once, acknowledgement
 * times and the life of events do not run out, keys stay at no consumer, and timers do not fire.
 */
export class MemoryMesh implements MeshPort {
  readonly site: string;
  readonly eventBytesMax: number;
  readonly subscriptions: SubscriptionsPort;
  readonly deadLetters: DeadLettersPort;
  readonly replays: MemoryReplays;
  readonly requests = new MemoryRequests();
  readonly scheduled = new MemoryScheduled();
  readonly inspect: InspectPort;
  readonly users: Record<string, MemoryUser>;
  /** Calls of `authenticate` so far. */
  authentications = 0;
  readonly #drain = new AbortController();
  readonly #log: MemoryLog;
  readonly #book: MemoryBook;
  readonly #producers = new MemoryProducers();
  #consumers = 0;

  constructor(options: MemoryMeshOptions = {}) {
    const { site = 'memory' } = options;
    this.site = site;
    this.eventBytesMax = options.eventBytesMax ?? 1024 * 1024;
    this.users = { ...(options.users ?? MEMORY_USERS) };
    const log = new MemoryLog(options.partitions ?? 1);
    const grants = (session: Session) => this.#rights(session).subscribe;
    const book = new MemoryBook({ site, log, grants });
    this.#log = log;
    this.#book = book;
    this.subscriptions = book;
    this.deadLetters = new MemoryDeadLetters((tenant) => book.of(tenant));
    this.replays = new MemoryReplays({
      site,
      find: (session, name) => book.find(session, name),
      part: (tenant, { from, toMs }) => log.from(tenant, from, toMs),
    });
    this.inspect = memoryInspect({
      site,
      records: (tenant) => log.partitions.flat().filter((record) => record.tenant === tenant),
      subscriptions: (tenant) => book.of(tenant),
      partitions: () =>
        log.partitions.map((records, at) => ({ first: log.first(at), last: records.length })),
    });
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  /** Everything stored, by partition. */
  get log(): readonly (readonly MemoryRecord[])[] {
    return this.#log.partitions;
  }

  authenticate(authorization: string | undefined): Promise<Session> {
    this.authentications++;
    const found = authorization === undefined ? undefined : this.users[authorization];
    if (found === undefined) return Promise.reject(unauthenticated(authorization));
    return Promise.resolve({ principal: found.principal, expiresMs: found.expiresMs ?? 0 });
  }

  async publish(
    session: Session,
    items: readonly PublishItem[],
    { atomic = false, producer }: PublishOptions = {},
  ): Promise<readonly (Receipt | MeshError)[]> {
    // Never synchronously, so that nobody comes to depend on it.
    await Promise.resolve();
    this.#refuseWhenDraining();
    if (producer !== undefined) MemoryProducers.check(producer);
    const problem = atomic ? this.#atomicProblem(session, items) : undefined;
    if (problem !== undefined) return items.map(() => problem);
    return items.map((item) => attempt(() => this.#publishOne(session, item, producer)));
  }

  #atomicProblem(session: Session, items: readonly PublishItem[]): MeshError | undefined {
    const places: string[] = [];
    const outcomes = items.map((item) =>
      attempt(() => {
        const view = this.#check(session, item);
        if (item.deliveryClass === 'direct') {
          throw invalid('atomic', 'events of the direct class are not stored');
        }
        const later = this.scheduled.dueMs(item) > Date.now();
        places.push(later ? 'later' : String(this.#log.partitionOf(view)));
      }),
    );
    return atomicFault(outcomes) ?? atomicProblem(places);
  }

  #check(session: Session, item: PublishItem): EventView {
    const { topic, event, deliveryClass } = item;
    const view = checkEvent(event, { eventBytesMax: this.eventBytesMax, attributesMax: 64 });
    const { publish } = this.#rights(session);
    if (this.requests.isInbox(topic)) return view;
    checkTopic(topic);
    if (!publish.some((filter) => topicMatches(filter, topic))) throw denied('publish', topic);
    if (deliveryClass === 'direct' && this.scheduled.dueMs(item) !== 0) {
      throw invalid('deliverAtMs', 'an event of the direct class cannot wait');
    }
    return view;
  }

  #publishOne(session: Session, item: PublishItem, producer: Producer | undefined): Receipt {
    const view = this.#check(session, item);
    const { tenant } = session.principal;
    const { topic, deliveryClass = 'durable' } = item;
    if (this.requests.isInbox(topic)) return this.#reply(tenant, item);
    const later = this.scheduled.keep(session, this.site, item);
    if (later !== undefined) return later;
    if (deliveryClass === 'direct') {
      const ingressTimeUs = Date.now() * 1000;
      const record = { tenant, topic, view, partition: 0, position: 0, ingressTimeUs };
      const takers = this.#takers(record, 'direct');
      for (const one of takers) one.offer(record);
      const nobody = takers.every(({ consumers }) => consumers.length === 0);
      return this.#receipt(record, { duplicate: false, noInterest: nobody, durability: undefined });
    }
    const noInterest = !this.#isWanted(tenant, topic, 'durable');
    const stored = { noInterest, durability: 'memory' };
    const partition = this.#log.partitionOf(view);
    const first = this.#log.duplicateOf(tenant, view);
    const fresh =
      producer === undefined ||
      this.#producers.take(tenant, partition, producer, item.sequence ?? 0);
    if (first !== undefined || !fresh) {
      // Where it lies is known by its id alone.
      return this.#receipt(first ?? { partition, position: 0 }, { ...stored, duplicate: true });
    }
    const record = this.#log.append(tenant, topic, view);
    for (const one of this.#book.of(tenant)) {
      const { deliveryClass: taken, mode } = one.spec;
      if (taken === 'durable' && mode !== 'broadcast') one.offer(record);
    }
    return this.#receipt(record, { ...stored, duplicate: false });
  }

  #takers(record: MemoryRecord, deliveryClass: 'direct'): MemorySubscription[] {
    return this.#book
      .of(record.tenant)
      .filter((one) => one.spec.mode !== 'broadcast' && one.wants(record.topic, deliveryClass));
  }

  #isWanted(tenant: string, topic: string, ...classes: readonly ('durable' | 'direct')[]) {
    const all = this.#book.of(tenant);
    return classes.some((each) => all.some((one) => one.wants(topic, each)));
  }

  #reply(tenant: string, { topic, event }: PublishItem): Receipt {
    const noInterest = !this.requests.answer(tenant, topic, event);
    const place = { site: this.site, partition: 0, position: 0, destinations: [] };
    return { ...place, duplicate: false, durability: undefined, noInterest };
  }

  #receipt(
    { partition, position }: Pick<MemoryRecord, 'partition' | 'position'>,
    more: Pick<Receipt, 'duplicate' | 'noInterest' | 'durability'>,
  ): Receipt {
    return { site: this.site, partition, position, destinations: [], ...more };
  }

  async request(session: Session, item: PublishItem, options: RequestOptions): Promise<Uint8Array> {
    await Promise.resolve();
    this.#refuseWhenDraining();
    const { topic } = item;
    checkRequest(item, options.timeoutMs, this.requests.isInbox(topic));
    this.#check(session, item);
    const { tenant } = session.principal;
    const asked = {
      tenant,
      site: this.site,
      draining: this.draining,
      nobody: () => !this.#isWanted(tenant, topic, 'durable', 'direct'),
    };
    return this.requests.request(asked, item, options, async (stamped) => {
      const [outcome] = await this.publish(session, [stamped]);
      if (outcome === undefined || outcome instanceof MeshError) {
        throw outcome ?? new MeshError('Internal', 'a publish without an outcome');
      }
      return outcome;
    });
  }

  async attach(session: Session, options: AttachOptions, sink: DeliverySink): Promise<Attachment> {
    await Promise.resolve();
    this.#refuseWhenDraining();
    if (options.replay !== undefined) return this.replays.open(session, options, sink);
    checkConsumer(options.consumer);
    const whole = this.#book.open(session, options.subscription);
    const subscription = this.#book.consumed(whole, options.consumer);
    const { mode, name } = subscription.spec;
    if (mode === 'exclusive' && subscription.consumers.length > 0) throw exclusive(name);
    const consumer = new MemoryConsumer(subscription, {
      subscription: whole,
      consumer: options.consumer ?? `consumer-${++this.#consumers}`,
      sink,
      convergedSites: (options.convergeMs ?? 0) > 0 ? [this.site] : [],
      gone: () => this.#book.left(subscription),
    });
    subscription.consumers.push(consumer);
    consumer.credit(options.creditEvents ?? 0, options.creditBytes ?? 0);
    return consumer;
  }

  #rights(session: Session): MemoryUser {
    const { tenant, name } = session.principal;
    const found = Object.values(this.users).find(
      ({ principal }) => principal.tenant === tenant && principal.name === name,
    );
    if (found !== undefined) return found;
    throw principalEnded();
  }

  #refuseWhenDraining(): void {
    if (this.draining.aborted) throw drainingError();
  }

  /** The subscription behind the port, for assertions and faults. */
  subscription(name: string, tenant = 'acme'): MemorySubscription {
    const found = this.#book.peek(tenant, name);
    if (found === undefined) throw new Error(`no subscription ${name} of ${tenant}`);
    return found;
  }

  get subscriptionNames(): readonly string[] {
    return this.#book.all.map(({ spec }) => spec.name);
  }

  /** Forgets everything before a position; who starts earlier is told of a gap. */
  trim(partition: number, before: number): void {
    this.#log.trim(partition, before);
  }

  /** Ends the attachments of a subscription as the mesh does when it must. */
  endConsumers(name: string, reason: MeshError): void {
    this.#book.end(this.subscription(name), reason);
  }

  /** Ends the duplicate window: every (source, id) is new again. */
  forgetDuplicates(): void {
    this.#log.forgetDuplicates();
  }

  /** Begins the drain: new work is refused, and who waits for a reply is told. */
  drain(): void {
    this.#drain.abort();
  }

  /** Stops it; whoever is still attached is told. */
  close(): void {
    this.#drain.abort();
    this.#book.close(drainingError());
  }
}

function attempt<T>(run: () => T): T | MeshError {
  try {
    return run();
  } catch (error) {
    return MeshError.from(error);
  }
}
