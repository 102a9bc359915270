import type { LedgerLine, TopicView } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { Counters, Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { EmesherMetrics } from '../metrics.ts';
import { auditPrincipal, type CallerSession } from '../session.ts';
import type { Refusals } from './refusals.ts';
import type { ServedBy } from './served-by.ts';
import { tellStuckKeys, type Ordered } from './stuck-keys.ts';

/** Events of a topic stored here; counted in place, since it is done for each event. */
export interface TopicCount {
  readonly topic: string;
  events: number;
  lastTimeMs: number;
}

/** What is told of a running subscription, and under which names. */
const TOLD = [
  ['considered', 'considered', undefined],
  ['delivered', 'delivered', 'protocolDelivered'],
  ['filtered', 'filtered', 'protocolFiltered'],
  ['expired', 'expired', 'protocolExpired'],
  ['deadLettered', 'deadLettered', 'protocolDeadLettered'],
  ['dropped', 'dropped', 'protocolDropped'],
  ['redelivered', 'redelivered', undefined],
] as const;

/** Counters of one subscription as last told to the metrics. */
type Told = Record<(typeof TOLD)[number][0], number>;

/** What the books need to know of a running subscription. */
export interface Running {
  readonly subscription: Subscription;
  readonly engine: Ordered['engine'] & { readonly counters: Counters; readonly held: number };
  /** What the books said when this run began. */
  readonly countersAtStart: Counters;
}

export interface LedgerOptions {
  readonly metrics: EmesherMetrics;
  readonly policies: GovernanceView;
  readonly served: ServedBy;
  readonly refusals: Refusals;
  readonly now: () => number;
}

/** Why direct events are dropped: too slow, without the right, or left by the last consumer. */
export type DirectDrop = 'slow' | 'forbidden' | 'left';

interface TenantBooks {
  accepted: number;
  readonly topics: Map<string, TopicCount>;
}

/**
 * The books: counters at every state transition. Subscriptions keep their own counters in the
 * engine; they are told to the metrics when somebody looks.
 */
export class Ledger {
  readonly #metrics: EmesherMetrics;
  readonly #policies: GovernanceView;
  readonly #refusals: Refusals;
  readonly #served: ServedBy;
  readonly #now: () => number;
  readonly #sinceMs: number;
  readonly #told = new WeakMap<Running, Told>();
  /** The same by protocol; lags behind while it is not known which protocol it is. */
  readonly #toldProtocol = new WeakMap<Running, Told>();
  readonly #heldTold = new WeakMap<Running, { protocol: string | undefined; events: number }>();
  readonly #tenants = new Map<string, TenantBooks>();

  constructor(options: LedgerOptions) {
    this.#metrics = options.metrics;
    this.#policies = options.policies;
    this.#served = options.served;
    this.#refusals = options.refusals;
    this.#now = options.now;
    this.#sinceMs = options.now();
  }

  accepted(tenant: string, deliveryClass: string, events: number, bytes: number): void {
    if (events === 0) return;
    this.#metrics.accepted.inc({ tenant, class: deliveryClass }, events);
    this.#metrics.acceptedBytes.inc({ tenant }, bytes);
    this.#tenant(tenant).accepted += events;
  }

  /** When the tenants' lines began to count, ms since the epoch. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  duplicates(tenant: string, events: number): void {
    if (events > 0) this.#metrics.duplicates.inc({ tenant }, events);
  }

  /** A refusal at the gate; those for want of right go to the audit. */
  refused(
    { principal, grants }: Pick<CallerSession, 'principal' | 'grants'>,
    topic: string,
    event: Uint8Array,
    error: MeshError,
  ): void {
    const policyRevision = this.#policies.revision;
    const grantsRevision = Math.max(0, grants.revision);
    this.#refusals.note(principal, topic, event, error, { policyRevision, grantsRevision });
    this.#metrics.refused.inc({ tenant: principal.tenant, code: error.code });
    if (error.code !== 'PermissionDenied') return;
    this.#policies.audit({
      tenant: principal.tenant,
      principal: auditPrincipal(principal),
      action: 'publish',
      resource: topic,
      outcome: 'refused',
      reason: error.message,
    });
  }

  storeRefused(tenant: string, events: number, error: MeshError): void {
    this.#metrics.refused.inc({ tenant, code: error.code }, events);
  }

  publishTime(deliveryClass: string, seconds: number): void {
    this.#metrics.publishSeconds.observe({ class: deliveryClass }, seconds);
  }

  directDelivered({ tenant, name }: Subscription, events: number): void {
    this.#metrics.direct.inc({ outcome: 'delivered' }, events);
    this.#metrics.delivered.inc({ tenant, subscription: name }, events);
    const protocol = this.#served.of({ tenant, name });
    if (protocol !== undefined) this.#metrics.protocolDelivered.inc({ protocol }, events);
  }

  directDropped({ tenant, name }: Subscription, reason: DirectDrop, events = 1): void {
    if (events === 0) return;
    this.#metrics.direct.inc({ outcome: reason }, events);
    this.#metrics.directDropped.inc({ tenant, subscription: name, reason }, events);
    this.#metrics.dropped.inc({ tenant, subscription: name }, events);
    const protocol = this.#served.of({ tenant, name });
    if (protocol !== undefined) this.#metrics.protocolDropped.inc({ protocol }, events);
  }

  directExpired({ tenant, name }: Subscription): void {
    this.#metrics.direct.inc({ outcome: 'expired' });
    this.#metrics.expired.inc({ tenant, subscription: name });
    const protocol = this.#served.of({ tenant, name });
    if (protocol !== undefined) this.#metrics.protocolExpired.inc({ protocol });
  }

  /** Brings the metrics up to the engines of all running subscriptions. */
  tellAll<R extends Running>(running: Iterable<R>, lag: (running: R) => number): void {
    const all = [...running];
    const held = new Map<string, number>();
    for (const one of all) {
      const { tenant, name } = one.subscription;
      this.#tell(one);
      this.#metrics.held.set({ tenant, subscription: name }, one.engine.held);
      this.#metrics.lag.set({ tenant, subscription: name }, lag(one));
      const protocol = this.#served.of(one.subscription);
      this.#heldTold.set(one, { protocol, events: one.engine.held });
      if (protocol === undefined) continue;
      held.set(protocol, (held.get(protocol) ?? 0) + one.engine.held);
    }
    this.#metrics.protocolHeld.reset();
    for (const [protocol, events] of held) this.#metrics.protocolHeld.set({ protocol }, events);
    tellStuckKeys(this.#metrics, all);
  }

  /** A subscription stops running here: its books are closed, the rest waits in the store. */
  tellLast(running: Running): void {
    const { tenant, name } = running.subscription;
    this.#tell(running);
    this.#metrics.held.remove({ tenant, subscription: name });
    const { protocol, events } = this.#heldTold.get(running) ?? NO_HELD;
    if (protocol !== undefined) this.#metrics.protocolHeld.dec({ protocol }, events);
    this.#metrics.lag.remove({ tenant, subscription: name });
  }

  #tell(running: Running): void {
    const { subscription, engine, countersAtStart } = running;
    const { counters } = engine;
    const { tenant, name } = subscription;
    const labels = { tenant, subscription: name };
    const told = this.#told.get(running) ?? { ...countersAtStart };
    this.#told.set(running, told);
    for (const [key, metric] of TOLD) {
      const more = counters[key] - told[key];
      if (more > 0) this.#metrics[metric].inc(labels, more);
      told[key] = Math.max(told[key], counters[key]);
    }
    const protocol = this.#served.of(subscription);
    if (protocol === undefined) return;
    const toldProtocol = this.#toldProtocol.get(running) ?? { ...countersAtStart };
    this.#toldProtocol.set(running, toldProtocol);
    for (const [key, , metric] of TOLD) {
      const more = counters[key] - toldProtocol[key];
      if (metric !== undefined && more > 0) this.#metrics[metric].inc({ protocol }, more);
      toldProtocol[key] = Math.max(toldProtocol[key], counters[key]);
    }
  }

  tenantLine(tenant: string): LedgerLine {
    return {
      tenant,
      subscription: '',
      accepted: this.#tenants.get(tenant)?.accepted ?? 0,
      delivered: 0,
      filtered: 0,
      expired: 0,
      deadLettered: 0,
      dropped: 0,
      held: 0,
      sinceMs: this.#sinceMs,
    };
  }

  /** The counter of a topic; beyond the bound new topics share one that is not shown. */
  topic(tenant: string, topic: string): TopicCount {
    const { topics } = this.#tenant(tenant);
    let seen = topics.get(topic);
    if (seen === undefined) {
      seen = { topic, events: 0, lastTimeMs: 0 };
      if (topics.size < TOPICS_MAX) topics.set(topic, seen);
    }
    return seen;
  }

  topics(tenant: string): readonly TopicView[] {
    return [...this.#tenant(tenant).topics.values()].filter(({ events }) => events > 0);
  }

  #tenant(tenant: string): TenantBooks {
    let found = this.#tenants.get(tenant);
    if (found === undefined) {
      found = { accepted: 0, topics: new Map() };
      this.#tenants.set(tenant, found);
    }
    return found;
  }
}

const TOPICS_MAX = 10_000;
const NO_HELD = Object.freeze({ protocol: undefined, events: 0 });
