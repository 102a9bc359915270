import { describe, expect, it } from '@jest/globals';
import type { GovernanceView } from '@eventmesh/clients';
import { NO_COUNTS, SUBSCRIPTION_DEFAULTS, type Subscription } from '@eventmesh/delivery';
import { Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from '../metrics.ts';
import { Ledger } from './ledger.ts';
import { Refusals } from './refusals.ts';
import { ServedBy } from './served-by.ts';

const subscription = (name: string): Subscription => ({
  ...SUBSCRIPTION_DEFAULTS,
  name,
  topicFilters: ['#'],
  tenant: 't',
  owner: 'user:n',
  site: 'west',
  createdMs: 1,
  revision: 1,
  broadcastOf: '',
});
/** A subscription that runs, with books that the test moves on. */
const running = (name: string) => ({
  subscription: subscription(name),
  engine: {
    counters: { ...NO_COUNTS, delivered: 100 },
    held: 0,
    stuckKeys: () => [],
    parkedEvents: 0,
    parkedKeys: 0,
    cursorBytes: 0,
    stopped: undefined,
    waiting: { delayed: 0, nextDueMs: 0, paced: 0, retryWindow: 0 },
  },
  countersAtStart: { ...NO_COUNTS, delivered: 100 },
});

const make = () => {
  const metrics = new Metrics();
  const served = new ServedBy();
  const ledger = new Ledger({
    metrics: metrics.use(emesherMetrics),
    served,
    policies: {} as GovernanceView,
    refusals: new Refusals(0, () => 0),
    now: () => 1234,
  });
  const of = (name: string, protocol: string) =>
    metrics.value(`eventmesh_protocol_events_${name}`, { protocol });
  const all = (name: string, one: string) =>
    metrics.value(`eventmesh_subscription_${name}`, { tenant: 't', subscription: one });
  return { ledger, served, of, all };
};
const noLag = () => 0;

describe('what the books tell of running subscriptions', () => {
  it('is what happened since they run here, once, and under the protocol that serves them', async () => {
    const { ledger, served, of, all } = make();
    const a = running('a');
    const b = running('b');
    served.set(a.subscription, 'http');
    a.engine.counters.delivered += 2;
    a.engine.held = 3;
    // Nobody knows yet who serves b; what it does is told under the protocol once that is known.
    b.engine.counters.delivered += 5;
    b.engine.counters.filtered += 7;
    ledger.tellAll([a, b], noLag);
    expect(await of('delivered_total', 'http')).toBe(2);
    expect(await all('delivered_total', 'b')).toBe(5);
    served.set(b.subscription, 'grpc');
    ledger.tellAll([a, b], noLag);
    expect(await of('delivered_total', 'http')).toBe(2);
    expect(await of('delivered_total', 'grpc')).toBe(5);
    expect(await of('filtered_total', 'grpc')).toBe(7);
    expect(await of('held', 'http')).toBe(3);
    expect(await all('held', 'a')).toBe(3);
  });

  it('is told to the last event when one stops, which then holds nothing here', async () => {
    const { ledger, served, of, all } = make();
    const a = running('a');
    served.set(a.subscription, 'http');
    a.engine.held = 3;
    ledger.tellAll([a], noLag);
    a.engine.counters.delivered += 3;
    a.engine.held = 0;
    ledger.tellLast(a);
    expect(await all('delivered_total', 'a')).toBe(3);
    expect(await of('delivered_total', 'http')).toBe(3);
    expect(await of('held', 'http')).toBe(0);
    expect(await all('held', 'a')).toBe(0);
  });

  it('says since when a tenant was counted', () => {
    const { ledger } = make();
    ledger.accepted('t', 'durable', 2, 10);
    ledger.accepted('t', 'direct', 1, 5);
    expect(ledger.tenantLine('t')).toMatchObject({ accepted: 3, sinceMs: 1234 });
  });
});
