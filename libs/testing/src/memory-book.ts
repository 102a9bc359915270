import { randomUUID } from 'node:crypto';
import type { Session, SubscriptionWithStatus, SubscriptionsPort } from '@eventmesh/adapter-api';
import {
  changedSpec,
  checkSubscription,
  type Start,
  type Subscription,
  type SubscriptionChange,
  type SubscriptionInput,
} from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { filterCovers } from '@eventmesh/event';
import type { MemoryLog } from './memory-log.ts';
import {
  badPageToken,
  changed,
  changedSince,
  checkChangeable,
  checkDirect,
  checkPartName,
  checkSame,
  deleted,
  denied,
  moved,
  unknownSubscription,
} from './memory-refusals.ts';
import { MemorySubscription, type MemoryKept } from './memory-subscription.ts';

export interface MemoryBookOptions {
  readonly site: string;
  readonly log: MemoryLog;
  /** Topic filters that a caller may subscribe to. @throws MeshError for a caller that is no more. */
  readonly grants: (session: Session) => readonly string[];
}

/** The subscriptions of a memory mesh, as resources. */
export class MemoryBook implements SubscriptionsPort {
  readonly #options: MemoryBookOptions;
  readonly #all = new Map<string, MemorySubscription>();
  #revision = 0;
  #deadLetters = 0;
  /** Consumers are being told to come back, so that nothing vanishes with them. */
  #moving = false;

  constructor(options: MemoryBookOptions) {
    this.#options = options;
  }

  get all(): readonly MemorySubscription[] {
    return [...this.#all.values()];
  }

  of(tenant: string): readonly MemorySubscription[] {
    return this.all.filter(({ spec }) => spec.tenant === tenant);
  }

  peek(tenant: string, name: string): MemorySubscription | undefined {
    return this.#all.get(keyOf(tenant, name));
  }

  /** @throws NotFound, also for what the caller may not see. */
  find(session: Session, name: string): MemorySubscription {
    const found = this.peek(session.principal.tenant, name);
    if (found === undefined || !this.#maySee(session, found.spec)) throw unknownSubscription(name);
    return found;
  }

  /** For a consumer: there already, or made as it is wanted. */
  open(session: Session, wanted: string | SubscriptionInput): MemorySubscription {
    if (typeof wanted !== 'string') {
      const own = { name: `ephemeral-${randomUUID()}`, ephemeral: true };
      return this.make(session, wanted.name === '' ? { ...wanted, ...own } : wanted);
    }
    const found = this.find(session, wanted);
    this.#checkGrants(session, found.spec.topicFilters);
    return found;
  }

  /** The subscription as it is wanted, made when missing. */
  make(session: Session, input: SubscriptionInput): MemorySubscription {
    const spec = checkSubscription(input);
    const { tenant, kind, name: owner } = session.principal;
    this.#checkGrants(session, spec.topicFilters);
    const there = this.peek(tenant, spec.name);
    if (there !== undefined) {
      checkSame(there.spec, spec);
      return there;
    }
    this.#options.log.checkStart(tenant, spec.start);
    checkDirect(spec);
    const { site } = this.#options;
    const about = { tenant, owner: `${kind}:${owner}`, site, createdMs: Date.now() };
    const revision = ++this.#revision;
    return this.#add({ all: { ...spec, ...about, revision, broadcastOf: '' } });
  }

  /** Of a broadcast each consumer has a part of its own; one with a name keeps it. */
  consumed(whole: MemorySubscription, consumer: string | undefined): MemorySubscription {
    const { spec } = whole;
    if (spec.mode !== 'broadcast') return whole;
    if (consumer !== undefined) checkPartName(consumer);
    const { tenant, site, owner, start, createdMs } = spec;
    const name = `${spec.name}:${consumer ?? randomUUID()}`;
    const found = this.peek(tenant, name);
    if (found !== undefined) return found;
    const part = { wholeCreatedMs: createdMs, paused: false, revision: 0 };
    const kept = { tenant, name, site, owner, start, createdMs: Date.now(), part };
    const ephemeral = spec.ephemeral || consumer === undefined;
    return this.#add({ part: { ...kept, ephemeral, broadcastOf: spec.name }, whole });
  }

  /** A consumer has left: an ephemeral subscription goes with the last one. */
  left({ spec: { tenant, name, ephemeral }, consumers }: MemorySubscription): void {
    if (ephemeral && !this.#moving && consumers.length === 0) this.#all.delete(keyOf(tenant, name));
  }

  async create(session: Session, input: SubscriptionInput): Promise<Subscription> {
    return this.make(session, input).spec;
  }

  async get(session: Session, name: string): Promise<SubscriptionWithStatus> {
    return withStatus(this.find(session, name));
  }

  async list(session: Session, page: { readonly size: number; readonly token: string }) {
    const all = this.of(session.principal.tenant)
      .filter(({ spec }) => this.#maySee(session, spec))
      .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
    if (!/^\d*$/.test(page.token)) throw badPageToken();
    const from = Number(page.token);
    const next = from + page.size;
    const nextToken = next < all.length ? String(next) : '';
    return { items: all.slice(from, next).map(withStatus), nextToken };
  }

  async update(session: Session, change: SubscriptionChange): Promise<Subscription> {
    const found = this.find(session, change.name);
    const there = found.spec;
    const { revision = 0 } = change;
    if (revision > 0 && revision !== there.revision) throw changedSince(there.name);
    checkChangeable(there, change);
    const spec = changedSpec(there, change);
    checkDirect(spec);
    this.#checkGrants(session, spec.topicFilters);
    found.kept = { all: { ...there, ...spec, revision: ++this.#revision } };
    for (const one of [found, ...this.#partsOf(there)]) this.#move(one, changed(one.spec.name));
    return found.spec;
  }

  async pause(session: Session, name: string, paused: boolean): Promise<Subscription> {
    const found = this.find(session, name);
    const { kept } = found;
    const revision = ++this.#revision;
    if ('all' in kept) found.kept = { all: { ...kept.all, paused, revision } };
    else {
      const part = { ...kept.part.part, paused, revision };
      found.kept = { ...kept, part: { ...kept.part, part } };
    }
    for (const one of [found, ...this.#partsOf(found.spec)]) one.schedule();
    return found.spec;
  }

  async seek(session: Session, name: string, start: Start): Promise<Subscription> {
    const found = this.find(session, name);
    const { tenant, deliveryClass } = found.spec;
    this.#options.log.checkStart(tenant, start);
    if (deliveryClass === 'direct') {
      const text = `"${name}" is of the direct class: nothing is kept`;
      throw new MeshError('FailedPrecondition', text);
    }
    for (const one of [found, ...this.#partsOf(found.spec)]) {
      const { kept } = one;
      const revision = ++this.#revision;
      if ('all' in kept) one.kept = { all: { ...kept.all, start, revision } };
      else {
        const part = { ...kept.part.part, revision };
        one.kept = { ...kept, part: { ...kept.part, start, part } };
      }
      this.#move(one, moved(one.spec.name));
      one.forget();
      this.#begin(one);
    }
    return found.spec;
  }

  async delete(session: Session, name: string): Promise<void> {
    const found = this.find(session, name);
    for (const one of [found, ...this.#partsOf(found.spec)]) {
      this.#all.delete(keyOf(one.spec.tenant, one.spec.name));
      this.end(one, deleted(one.spec.name));
      one.close();
    }
  }

  async converge() {
    return { convergedSites: [this.#options.site], unreachableSites: [] };
  }

  end({ consumers }: MemorySubscription, reason: MeshError): void {
    for (const consumer of [...consumers]) consumer.end(reason);
  }

  close(reason: MeshError): void {
    for (const one of this.all) {
      this.end(one, reason);
      one.close();
    }
  }

  #move(one: MemorySubscription, reason: MeshError): void {
    this.#moving = true;
    try {
      this.end(one, reason);
    } finally {
      this.#moving = false;
    }
  }

  #add(kept: MemoryKept): MemorySubscription {
    const made = new MemorySubscription(kept, this.#options.site, () => ++this.#deadLetters);
    this.#all.set(keyOf(made.spec.tenant, made.spec.name), made);
    this.#begin(made);
    return made;
  }

  /** Offers what is stored from its start on; a broadcast is consumed through its parts alone. */
  #begin(one: MemorySubscription): void {
    const { tenant, start, deliveryClass, mode } = one.spec;
    if (deliveryClass === 'direct' || mode === 'broadcast') return;
    const { records, gaps } = this.#options.log.from(tenant, start);
    one.gaps.push(...gaps);
    for (const record of records) one.offer(record);
  }

  #partsOf({ tenant, name }: Subscription): readonly MemorySubscription[] {
    return this.of(tenant).filter(({ spec }) => spec.broadcastOf === name);
  }

  #checkGrants(session: Session, topicFilters: readonly string[]): void {
    const grants = this.#options.grants(session);
    for (const filter of topicFilters) {
      const may = grants.some((grant) => filterCovers(grant, filter));
      if (!may) throw denied('subscribe', filter);
    }
  }

  /** Its owner, and whoever may receive all of it. */
  #maySee(session: Session, { owner, topicFilters }: Subscription): boolean {
    const { kind, name } = session.principal;
    if (owner === `${kind}:${name}`) return true;
    const grants = this.#options.grants(session);
    return topicFilters.every((filter) => grants.some((grant) => filterCovers(grant, filter)));
  }
}

const keyOf = (tenant: string, name: string): string => JSON.stringify([tenant, name]);

const withStatus = (one: MemorySubscription): SubscriptionWithStatus => ({
  subscription: one.spec,
  status: one.status(),
});
