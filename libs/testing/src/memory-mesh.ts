import { MeshError } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';
import { atomicFault, checkEvent, checkTopic, filterCovers, topicMatches } from '@eventmesh/event';
import {
  changedSpec,
  checkSubscription,
  type Start,
  type Subscription,
  type SubscriptionInput,
} from '@eventmesh/delivery';
import type {
  AttachOptions,
  Attachment,
  DeadLettersPort,
  DeliverySink,
  InspectPort,
  MeshPort,
  Principal,
  PublishItem,
  Receipt,
  ReplayOptions,
  RequestOptions,
  Session,
  SubscriptionWithStatus,
  SubscriptionsPort,
} from '@eventmesh/adapter-api';
import { MemoryDeadLetters } from './memory-dead-letters.ts';
import {
  badPageToken,
  changedSince,
  checkSame,
  deleted,
  denied,
  draining,
  exclusive,
  principalEnded,
  unauthenticated,
} from './memory-refusals.ts';
import { MemoryReplays } from './memory-replays.ts';
import { MemoryRequests } from './memory-requests.ts';
import { MemoryScheduled } from './memory-scheduled.ts';
import { memoryInspect } from './memory-inspect.ts';
import { MemoryConsumer, MemorySubscription, type MemoryRecord } from './memory-subscription.ts';

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
 * checks, stores, matches, delivers by credit and keeps books as the real one does. It does not
 * retry by a schedule, and acknowledgement times do not run out.
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
  readonly #log: MemoryRecord[][];
  readonly #trimmed: number[];
  readonly #seen = new Map<string, MemoryRecord>();
  readonly #subscriptions = new Map<string, MemorySubscription>();
  #revision = 0;
  #deadLetters = 0;

  constructor(options: MemoryMeshOptions = {}) {
    this.site = options.site ?? 'memory';
    this.eventBytesMax = options.eventBytesMax ?? 1024 * 1024;
    this.users = { ...(options.users ?? MEMORY_USERS) };
    const partitions = options.partitions ?? 1;
    this.#log = Array.from({ length: partitions }, () => []);
    this.#trimmed = Array.from({ length: partitions }, () => 0);
    this.subscriptions = this.#subscriptionsPort();
    this.deadLetters = new MemoryDeadLetters((tenant) =>
      [...this.#subscriptions.values()].filter(({ spec }) => spec.tenant === tenant),
    );
    this.replays = new MemoryReplays({
      site: this.site,
      find: (session, name) => this.#find(session, name),
      part: (tenant, options) => this.#part(tenant, options),
    });
    this.inspect = this.#inspectPort();
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  /** Everything stored, by partition. */
  get log(): readonly (readonly MemoryRecord[])[] {
    return this.#log;
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
    options: { readonly atomic?: boolean } = {},
  ): Promise<readonly (Receipt | MeshError)[]> {
    // Never synchronously, so that nobody comes to depend on it.
    await Promise.resolve();
    this.#refuseWhenDraining();
    if (options.atomic === true) {
      const faults = items.map((item) => attempt(() => this.#check(session, item)));
      const fault = atomicFault(faults);
      if (fault !== undefined) return items.map(() => fault);
    }
    return items.map((item) => attempt(() => this.#publishOne(session, item)));
  }

  #check(session: Session, item: PublishItem): EventView {
    const view = checkEvent(item.event, { eventBytesMax: this.eventBytesMax, attributesMax: 64 });
    if (!this.requests.isInbox(item.topic)) checkTopic(item.topic);
    const { publish } = this.#rights(session);
    const mayPublish =
      this.requests.isInbox(item.topic) ||
      publish.some((filter) => topicMatches(filter, item.topic));
    if (!mayPublish) throw denied('publish', item.topic);
    return view;
  }

  #publishOne(session: Session, item: PublishItem): Receipt {
    const view = this.#check(session, item);
    const { tenant } = session.principal;
    if (this.requests.isInbox(item.topic)) return this.#reply(tenant, item);
    const later = this.scheduled.keep(session, this.site, item);
    if (later !== undefined) return later;
    const direct = item.deliveryClass === 'direct';
    const key = JSON.stringify([tenant, view.source, view.id]);
    const first = this.#seen.get(key);
    if (!direct && first !== undefined) return this.#receipt(first, true, direct);
    const partition = partitionOf(view, this.#log.length);
    const records = this.#log[partition] ?? [];
    const position = direct ? 0 : records.length + 1;
    const ingressTimeUs = Date.now() * 1000;
    const record = { tenant, topic: item.topic, view, partition, position, ingressTimeUs };
    if (!direct) {
      records.push(record);
      this.#seen.set(key, record);
    }
    for (const subscription of this.#subscriptions.values()) {
      const { spec } = subscription;
      if (spec.tenant !== tenant || spec.mode === 'broadcast') continue;
      if (direct && spec.deliveryClass !== 'direct') continue;
      subscription.offer(record);
    }
    return this.#receipt(record, false, direct);
  }

  #reply(tenant: string, { topic, event }: PublishItem): Receipt {
    const noInterest = !this.requests.answer(tenant, topic, event);
    const place = { site: this.site, partition: 0, position: 0, destinations: [] };
    return { ...place, duplicate: false, durability: undefined, noInterest };
  }

  #receipt(record: MemoryRecord, duplicate: boolean, direct: boolean): Receipt {
    const { partition, position } = record;
    const noInterest = ![...this.#subscriptions.values()].some(
      ({ spec }) =>
        spec.tenant === record.tenant &&
        spec.topicFilters.some((filter) => topicMatches(filter, record.topic)),
    );
    const durability = direct ? undefined : 'memory';
    return {
      site: this.site,
      partition,
      position,
      duplicate,
      durability,
      noInterest,
      destinations: [],
    };
  }

  async request(session: Session, item: PublishItem, options: RequestOptions): Promise<Uint8Array> {
    const { tenant } = session.principal;
    return this.requests.request(tenant, this.site, item, options, async (stamped) => {
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
    const whole = this.#open(session, options.subscription);
    const subscription = this.#consumed(whole, options.consumer);
    const { spec } = subscription;
    if (spec.mode === 'exclusive' && subscription.consumers.length > 0) throw exclusive(spec.name);
    const consumer = new MemoryConsumer(subscription, {
      subscription: whole,
      consumer: options.consumer ?? `consumer-${++this.#revision}`,
      sink,
      site: this.site,
      gone: () => {
        if (spec.ephemeral) this.#subscriptions.delete(keyOf(spec.tenant, spec.name));
      },
    });
    subscription.consumers.push(consumer);
    queueMicrotask(() => consumer.credit(options.creditEvents ?? 0, options.creditBytes ?? 0));
    return consumer;
  }

  /** Of a broadcast each consumer has a part of its own; one with a name keeps it. */
  #consumed(whole: MemorySubscription, consumer: string | undefined): MemorySubscription {
    if (whole.spec.mode !== 'broadcast') return whole;
    const { tenant, ephemeral, start, deliveryClass } = whole.spec;
    const name = `${whole.spec.name}:${consumer ?? `unnamed-${++this.#revision}`}`;
    const found = this.#subscriptions.get(keyOf(tenant, name));
    if (found !== undefined) return found;
    const mesh = { name, mode: 'shared', broadcastOf: whole.spec.name } as const;
    const spec = { ...whole.spec, ...mesh, ephemeral: ephemeral || consumer === undefined };
    const part = new MemorySubscription(spec, this.site, () => ++this.#deadLetters);
    this.#subscriptions.set(keyOf(tenant, name), part);
    if (deliveryClass === 'durable') this.#replay(part, start);
    return part;
  }

  #open(session: Session, wanted: string | SubscriptionInput): MemorySubscription {
    return typeof wanted === 'string' ? this.#find(session, wanted) : this.#make(session, wanted);
  }

  /** The subscription as it is wanted, made when missing. */
  #make(session: Session, input: SubscriptionInput): MemorySubscription {
    const spec = checkSubscription(input);
    const { tenant, name: owner } = session.principal;
    const { subscribe } = this.#rights(session);
    for (const filter of spec.topicFilters) {
      const may = subscribe.some((grant) => filterCovers(grant, filter));
      if (!may) throw denied('subscribe', filter);
    }
    const there = this.#subscriptions.get(keyOf(tenant, spec.name));
    if (there !== undefined) {
      checkSame(there.spec, spec);
      return there;
    }
    const about = { tenant, owner, site: this.site, createdMs: Date.now() };
    const revision = ++this.#revision;
    const full: Subscription = { ...spec, ...about, revision, broadcastOf: '' };
    const subscription = new MemorySubscription(full, this.site, () => ++this.#deadLetters);
    this.#subscriptions.set(keyOf(tenant, spec.name), subscription);
    if (spec.deliveryClass === 'durable') this.#replay(subscription, spec.start);
    return subscription;
  }

  #replay(subscription: MemorySubscription, start: Start): void {
    for (const [partition, records] of this.#log.entries()) {
      const from = firstPosition(start, partition, records);
      const kept = (this.#trimmed[partition] ?? 0) + 1;
      if (from < kept) subscription.gaps.push({ partition, from, to: kept - 1 });
      for (const record of records.slice(Math.max(from, kept) - 1)) {
        if (record.tenant === subscription.spec.tenant) subscription.offer(record);
      }
    }
  }

  #part(tenant: string, { from, toMs }: ReplayOptions) {
    const records: MemoryRecord[] = [];
    const gaps: { partition: number; from: number; to: number }[] = [];
    for (const [partition, all] of this.#log.entries()) {
      const first = firstPosition(from, partition, all);
      const kept = (this.#trimmed[partition] ?? 0) + 1;
      if (first < kept) gaps.push({ partition, from: Math.max(1, first), to: kept - 1 });
      for (const record of all.slice(Math.max(first, kept) - 1)) {
        const late = toMs !== 0 && record.ingressTimeUs >= toMs * 1000;
        if (record.tenant === tenant && !late) records.push(record);
      }
    }
    return { records, gaps };
  }

  #find(session: Session, name: string): MemorySubscription {
    const found = this.#subscriptions.get(keyOf(session.principal.tenant, name));
    if (found !== undefined) return found;
    throw new MeshError('NotFound', `there is no subscription "${name}"`, { field: 'name' });
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
    if (this.draining.aborted) throw draining();
  }

  #subscriptionsPort(): SubscriptionsPort {
    const tenantsOwn = (session: Session): SubscriptionWithStatus[] =>
      [...this.#subscriptions.values()]
        .filter(({ spec }) => spec.tenant === session.principal.tenant)
        .map((one) => ({ subscription: one.spec, status: one.status() }));
    return {
      create: async (session, input) => this.#make(session, input).spec,
      converge: async () => ({ convergedSites: [this.site], unreachableSites: [] }),
      get: async (session, name) => {
        const found = this.#find(session, name);
        return { subscription: found.spec, status: found.status() };
      },
      list: async (session, page) => {
        const all = tenantsOwn(session);
        if (!/^\d*$/.test(page.token)) throw badPageToken();
        const from = Number(page.token);
        const next = from + page.size;
        const nextToken = next < all.length ? String(next) : '';
        return { items: all.slice(from, next), nextToken };
      },
      update: async (session, input) => {
        const found = this.#find(session, input.name);
        const { revision = 0 } = input;
        if (revision > 0 && revision !== found.spec.revision) throw changedSince(found.spec.name);
        const spec = changedSpec(found.spec, input);
        found.spec = { ...found.spec, ...spec, revision: ++this.#revision };
        return found.spec;
      },
      pause: async (session, name, paused) => {
        const found = this.#find(session, name);
        found.spec = { ...found.spec, paused, revision: ++this.#revision };
        found.pump();
        return found.spec;
      },
      seek: async (session, name, start) => {
        const found = this.#find(session, name);
        found.forget();
        this.#replay(found, start);
        return found.spec;
      },
      delete: async (session, name) => {
        const found = this.#find(session, name);
        const { tenant } = session.principal;
        for (const one of [...this.#subscriptions.values()]) {
          const { spec } = one;
          if (one !== found && (spec.tenant !== tenant || spec.broadcastOf !== name)) continue;
          this.#subscriptions.delete(keyOf(tenant, spec.name));
          this.#end(one, deleted(name));
        }
      },
    };
  }

  #inspectPort(): InspectPort {
    return memoryInspect({
      site: this.site,
      records: (tenant) => this.#log.flat().filter((record) => record.tenant === tenant),
      subscriptions: (tenant) =>
        [...this.#subscriptions.values()].filter(({ spec }) => spec.tenant === tenant),
      partitions: () =>
        this.#log.map((records, partition) => ({
          first: (this.#trimmed[partition] ?? 0) + 1,
          last: records.length,
        })),
    });
  }

  /** The subscription behind the port, for assertions and faults. */
  subscription(name: string, tenant = 'acme'): MemorySubscription {
    const found = this.#subscriptions.get(keyOf(tenant, name));
    if (found === undefined) throw new Error(`no subscription ${name} of ${tenant}`);
    return found;
  }

  get subscriptionNames(): readonly string[] {
    return [...this.#subscriptions.values()].map(({ spec }) => spec.name);
  }

  /** Forgets everything before a position; who starts earlier is told of a gap. */
  trim(partition: number, before: number): void {
    this.#trimmed[partition] = before - 1;
  }

  /** Ends the attachments of a subscription as the mesh does when it must. */
  endConsumers(name: string, reason: MeshError): void {
    this.#end(this.subscription(name), reason);
  }

  /** Ends the duplicate window: every (source, id) is new again. */
  forgetDuplicates(): void {
    this.#seen.clear();
  }

  /** Begins the drain: new work is refused. */
  drain(): void {
    this.#drain.abort();
  }

  close(): void {
    for (const subscription of this.#subscriptions.values()) subscription.close();
  }

  #end(subscription: MemorySubscription, reason: MeshError): void {
    for (const consumer of [...subscription.consumers]) consumer.end(reason);
    subscription.close();
  }
}

const keyOf = (tenant: string, name: string): string => JSON.stringify([tenant, name]);

function firstPosition(start: Start, partition: number, records: readonly MemoryRecord[]): number {
  switch (start.kind) {
    case 'earliest':
      return 1;
    case 'latest':
      return records.length + 1;
    case 'position':
      return start.partition === partition ? start.position : records.length + 1;
    case 'time': {
      const at = records.findIndex(({ ingressTimeUs }) => ingressTimeUs >= start.timeMs * 1000);
      return at === -1 ? records.length + 1 : at + 1;
    }
    case 'after': {
      const at = records.findIndex(
        ({ view }) => view.id === start.id && view.source === start.source,
      );
      return at === -1 ? records.length + 1 : at + 2;
    }
  }
}

function partitionOf(view: EventView, partitions: number): number {
  let hash = 0;
  for (const byte of Buffer.from(view.text('partitionkey') ?? '')) hash = (hash * 31 + byte) >>> 0;
  return hash % partitions;
}

function attempt<T>(run: () => T): T | MeshError {
  try {
    return run();
  } catch (error) {
    return MeshError.from(error);
  }
}
