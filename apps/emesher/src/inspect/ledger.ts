import type { LedgerLine, Principal, TopicView } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { Counters, Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { LiveMetrics, Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from '../metrics.ts';
import type { Runner } from '../deliver/runner.ts';

/** Events of a topic stored here; counted in place, since it is done for each event. */
export interface TopicCount {
  readonly topic: string;
  events: number;
  lastTimeMs: number;
}

/** Counters of one subscription as last told to the metrics. */
type Told = Pick<
  Counters,
  'considered' | 'delivered' | 'filtered' | 'expired' | 'deadLettered' | 'dropped' | 'redelivered'
>;

/**
 * The books: counters at every state transition. Subscriptions keep their own counters in the
 * engine; they are told to the metrics when somebody looks.
 */
export class Ledger {
  readonly metrics: LiveMetrics<typeof emesherMetrics>;
  readonly #policies: GovernanceView;
  readonly #told = new WeakMap<Runner, Told>();
  readonly #tenants = new Map<string, { accepted: number; topics: Map<string, TopicCount> }>();

  constructor(metrics: Metrics, policies: GovernanceView) {
    this.metrics = metrics.use(emesherMetrics);
    this.#policies = policies;
  }

  accepted(tenant: string, deliveryClass: string, events: number, bytes: number): void {
    if (events === 0) return;
    this.metrics.accepted.inc({ tenant, class: deliveryClass }, events);
    this.metrics.acceptedBytes.inc({ tenant }, bytes);
    this.#tenant(tenant).accepted += events;
  }

  duplicates(tenant: string, events: number): void {
    if (events > 0) this.metrics.duplicates.inc({ tenant }, events);
  }

  /** A refusal at the gate; those for want of right go to the audit. */
  refused(principal: Principal, topic: string, error: MeshError): void {
    this.metrics.refused.inc({ tenant: principal.tenant, code: error.code });
    if (error.code !== 'PermissionDenied') return;
    this.#policies.audit({
      tenant: principal.tenant,
      principal: principal.name,
      action: 'publish',
      resource: topic,
      outcome: 'refused',
      reason: error.message,
    });
  }

  storeRefused(tenant: string, events: number, error: MeshError): void {
    this.metrics.refused.inc({ tenant, code: error.code }, events);
  }

  publishTime(deliveryClass: string, seconds: number): void {
    this.metrics.publishSeconds.observe({ class: deliveryClass }, seconds);
  }

  directDelivered({ tenant, name }: Subscription, events: number): void {
    this.metrics.direct.inc({ outcome: 'delivered' }, events);
    this.metrics.delivered.inc({ tenant, subscription: name }, events);
  }

  directDropped({ tenant, name }: Subscription, reason: 'slow' | 'forbidden'): void {
    this.metrics.direct.inc({ outcome: reason });
    this.metrics.dropped.inc({ tenant, subscription: name });
  }

  /** Brings the metrics of a running subscription up to its engine's counters. */
  tell(runner: Runner, lag: number): void {
    const { tenant, name } = runner.subscription;
    const labels = { tenant, subscription: name };
    const { counters, held } = runner.engine;
    const told = this.#told.get(runner) ?? { ...runner.countersAtStart };
    const add = (key: keyof Told, metric: { inc(labels: object, value: number): void }) => {
      if (counters[key] > told[key]) metric.inc(labels, counters[key] - told[key]);
      told[key] = Math.max(told[key], counters[key]);
    };
    add('considered', this.metrics.considered);
    add('delivered', this.metrics.delivered);
    add('filtered', this.metrics.filtered);
    add('expired', this.metrics.expired);
    add('deadLettered', this.metrics.deadLettered);
    add('dropped', this.metrics.dropped);
    add('redelivered', this.metrics.redelivered);
    this.metrics.held.set(labels, held);
    this.metrics.lag.set(labels, lag);
    this.#told.set(runner, told);
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

  #tenant(tenant: string) {
    let found = this.#tenants.get(tenant);
    if (found === undefined) {
      found = { accepted: 0, topics: new Map() };
      this.#tenants.set(tenant, found);
    }
    return found;
  }
}

const TOPICS_MAX = 10_000;
