import { describe, expect, it } from '@jest/globals';
import type { Delivery } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import { SUBSCRIPTION_DEFAULTS, checkSubscription, type Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import {
  EventView,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  type RecordView,
} from '@eventmesh/event';
import { Metrics } from '@eventmesh/telemetry';
import { Ledger } from '../inspect/ledger.ts';
import { Refusals } from '../inspect/refusals.ts';
import { ServedBy } from '../inspect/served-by.ts';
import { emesherMetrics } from '../metrics.ts';
import { DirectLanes } from './direct-lanes.ts';

const QUEUE_MAX = 3;

const subscription = (given: Partial<Subscription> = {}): Subscription => ({
  ...checkSubscription({ ...SUBSCRIPTION_DEFAULTS, name: 's', topicFilters: ['orders/#'] }),
  ...{ tenant: 't', owner: 'user:n', site: 'west', createdMs: 1, revision: 1, broadcastOf: '' },
  deliveryClass: 'direct',
  ...given,
});

function record(id: string, given: Partial<RecordView> = {}): RecordView {
  const head = {
    ...{ tenant: 't', topic: 'orders/eu', principal: 'p', originSite: 'west', destinations: [] },
    ...{ ingressTimeUs: 1, hops: [] },
    ...given,
  };
  const event = encodeEvent({ id, source: '/s', type: given.key ?? 'made' });
  return decodeRecord(encodeRecord(head, event));
}

class Here {
  nowMs = 1000;
  readonly metrics = new Metrics();
  readonly lanes = new DirectLanes({
    ledger: new Ledger({
      metrics: this.metrics.use(emesherMetrics),
      served: new ServedBy(),
      policies: {} as GovernanceView,
      refusals: new Refusals(0, () => 0),
      now: () => 0,
    }),
    queueMax: QUEUE_MAX,
    now: () => this.nowMs,
    inboxes: { deliver: () => false },
  });
  readonly ended: (MeshError | undefined)[] = [];

  consumer(of: Subscription = subscription(), mayReceive: (topic: string) => boolean = () => true) {
    const got: string[] = [];
    const hold = this.lanes.attach({ mayReceive }, of, {
      deliver: (deliveries: readonly Delivery[]) => {
        got.push(...deliveries.map(({ event }) => new EventView(Buffer.from(event)).id));
      },
      gap: () => undefined,
      refused: () => undefined,
      ended: (error) => void this.ended.push(error),
    });
    return { ...hold, got };
  }

  /** Events that have ended in a way, by what the metrics say. */
  counted(outcome: string): Promise<number | undefined> {
    return this.metrics.value('eventmesh_direct_events_total', { outcome });
  }

  of(counter: string): Promise<number | undefined> {
    const labels = { tenant: 't', subscription: 's' };
    return this.metrics.value(`eventmesh_subscription_${counter}_total`, labels);
  }
}

/** The books of a subscription here: what was looked at is what became of it. */
function books(here: Here, name = 's') {
  const counts = here.lanes.books({ tenant: 't', name });
  if (counts === undefined) return undefined;
  const { considered, delivered, filtered, expired, dropped, held } = counts;
  expect(considered).toBe(delivered + filtered + expired + dropped + held);
  return counts;
}

/** What is ready is handed out in the next turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('events of the direct class at an emesher', () => {
  it('go to consumers with credit in turn, in events and in bytes', async () => {
    const here = new Here();
    const [a, b] = [here.consumer(), here.consumer()];
    a.credit(10, 0);
    b.credit(10, 1);
    for (const id of ['1', '2', '3']) expect(here.lanes.deliver(record(id))).toBe(1);
    await turn();
    // One event uses up the one byte that b has asked for.
    expect([a.got, b.got]).toEqual([['1', '3'], ['2']]);
    expect(await here.counted('delivered')).toBe(3);
    expect(await here.of('delivered')).toBe(3);
  });

  it('go to every consumer of a broadcast, and to none whose filters do not match', async () => {
    const here = new Here();
    const everywhere = subscription({ mode: 'broadcast' });
    const both = [here.consumer(everywhere), here.consumer(everywhere)];
    const filtered = subscription({ name: 'f', filters: [{ exact: { type: 'other' } }] });
    const none = here.consumer(filtered);
    for (const { credit } of [...both, none]) credit(10, 0);
    expect(here.lanes.deliver(record('1'))).toBe(2);
    expect(here.lanes.deliver(record('2', { topic: 'invoices' }))).toBe(0);
    expect(here.lanes.deliver(record('3', { tenant: 'other' }))).toBe(0);
    await turn();
    expect([...both.map(({ got }) => got), none.got]).toEqual([['1'], ['1'], []]);
  });

  it('are dropped, the oldest first, when more wait than may', async () => {
    const here = new Here();
    const slow = here.consumer();
    for (const id of ['1', '2', '3', '4', '5']) here.lanes.deliver(record(id));
    expect(here.lanes.waiting).toBe(QUEUE_MAX);
    slow.credit(10, 0);
    await turn();
    expect(slow.got).toEqual(['3', '4', '5']);
    expect([await here.counted('slow'), await here.of('dropped')]).toEqual([2, 2]);
    const labels = { tenant: 't', subscription: 's', reason: 'slow' };
    expect(await here.metrics.value('eventmesh_direct_dropped_total', labels)).toBe(2);
  });

  it('are not delivered when their life is over when they come, nor when it ends while they wait', async () => {
    const here = new Here();
    const consumer = here.consumer();
    here.lanes.deliver(record('over', { expiryMs: 1000 }));
    here.lanes.deliver(record('ends', { expiryMs: 1001 }));
    here.lanes.deliver(record('lives', { expiryMs: 1002 }));
    expect(here.lanes.waiting).toBe(2);
    here.nowMs = 1001;
    consumer.credit(1, 0);
    await turn();
    // What has expired takes no credit.
    expect(consumer.got).toEqual(['lives']);
    expect([await here.counted('expired'), await here.of('expired')]).toEqual([2, 2]);
    expect(await here.counted('delivered')).toBe(1);
  });

  it('go out as credit allows before the rest of it is taken back', async () => {
    const here = new Here();
    const consumer = here.consumer();
    here.lanes.deliver(record('1'));
    consumer.credit(10, 1000);
    await consumer.drain();
    expect(consumer.got).toEqual(['1']);
    here.lanes.deliver(record('2'));
    await turn();
    expect([consumer.got, here.lanes.waiting]).toEqual([['1'], 1]);
    // Bounded by events alone now.
    consumer.credit(1, 0);
    await turn();
    expect(consumer.got).toEqual(['1', '2']);
  });

  it('are dropped when the consumer may not receive their topic any more', async () => {
    const here = new Here();
    const consumer = here.consumer(subscription(), (topic) => topic !== 'orders/us');
    consumer.credit(1, 0);
    here.lanes.deliver(record('1', { topic: 'orders/us' }));
    here.lanes.deliver(record('2'));
    await turn();
    expect(consumer.got).toEqual(['2']);
    expect([await here.counted('forbidden'), await here.of('dropped')]).toEqual([1, 1]);
  });

  it('wait for nobody: with the last consumer goes what waited for it, counted', async () => {
    const here = new Here();
    const [first, last] = [here.consumer(), here.consumer()];
    here.lanes.deliver(record('1'));
    here.lanes.deliver(record('2'));
    await first.detach();
    expect(here.lanes.consumers(subscription())).toBe(1);
    expect(await here.counted('left')).toBe(0);
    await last.detach();
    await last.detach();
    expect(await here.counted('left')).toBe(2);
    expect(here.lanes.deliver(record('3'))).toBe(0);
    expect(here.lanes.waiting).toBe(0);
  });

  it('end with a reason for each consumer of a subscription that is no more', () => {
    const here = new Here();
    here.consumer();
    here.consumer();
    const other = subscription({ name: 'other' });
    here.consumer(other);
    const reason = new MeshError('NotFound', 'deleted');
    here.lanes.end(subscription(), reason);
    expect(here.ended).toEqual([reason, reason]);
    expect(here.lanes.consumers(subscription())).toBe(0);
    expect(here.lanes.consumers(other)).toBe(1);
  });
});

describe('the books of a direct subscription', () => {
  it('have every event of its topics once, while it has consumers and after that', async () => {
    const here = new Here();
    expect(books(here)).toBeUndefined();
    const one = here.consumer(undefined, (topic) => topic !== 'orders/secret');
    here.lanes.deliver(record('0', { topic: 'invoices' }));
    here.lanes.deliver(record('1', { expiryMs: 10 }));
    here.lanes.deliver(record('2', { topic: 'orders/secret' }));
    for (const id of ['3', '4', '5', '6']) here.lanes.deliver(record(id));
    const slow = { considered: 6, expired: 1, dropped: 2, delivered: 0, held: 3 };
    expect(books(here)).toMatchObject(slow);
    here.lanes.deliver(record('7', { topic: 'orders/secret' }));
    one.credit(2, 0);
    await turn();
    expect(books(here)).toMatchObject({ considered: 7, dropped: 3, delivered: 2, held: 1 });
    await one.detach();
    const over = { considered: 7, dropped: 4, delivered: 2, held: 0, consumers: 0 };
    expect(books(here)).toMatchObject(over);
    here.lanes.deliver(record('8'));
    const again = here.consumer();
    again.credit(1, 0);
    here.lanes.deliver(record('9'));
    await turn();
    expect(books(here)).toMatchObject({ considered: 8, delivered: 3, consumers: 1 });
  });

  it('have what its filters rule out, each event once, whatever the topic filters', async () => {
    const here = new Here();
    const filters = [{ exact: { type: 'big' } }];
    const name = 'f';
    const of = subscription({ name, filters, topicFilters: ['orders/#', 'orders/eu'] });
    const one = here.consumer(of);
    one.credit(10, 0);
    here.lanes.deliver(record('1', { key: 'big' }));
    here.lanes.deliver(record('2'));
    here.lanes.deliver(record('3', { topic: 'invoices' }));
    await turn();
    const there = { considered: 2, filtered: 1, delivered: 1 };
    expect(books(here, name)).toMatchObject(there);
    // Another one of the same topics does not count twice, nor does what came before it.
    const other = here.consumer(
      subscription({ name: 'g', filters, topicFilters: of.topicFilters }),
    );
    here.lanes.deliver(record('4'));
    expect(books(here, name)).toMatchObject({ considered: 3, filtered: 2 });
    expect(books(here, 'g')).toMatchObject({ considered: 1, filtered: 1 });
    await one.detach();
    await other.detach();
    here.lanes.deliver(record('5'));
    expect(books(here, name)).toMatchObject({ considered: 3, filtered: 2 });
  });

  it('have each consumer of a broadcast, and filters that cannot be evaluated', async () => {
    const here = new Here();
    const filters = [{ sql: "ABS('x') > 1" }];
    const of = subscription({ mode: 'broadcast', filters });
    const both = [here.consumer(of), here.consumer(of)];
    here.lanes.deliver(record('1'));
    expect(books(here)).toMatchObject({ considered: 2, filtered: 2, filterErrors: 2 });
    await Promise.all(both.map(({ detach }) => detach()));
    expect(books(here)).toMatchObject({ considered: 2, filtered: 2, filterErrors: 2 });
  });

  it('are forgotten with the subscription', async () => {
    const here = new Here();
    here.consumer();
    here.lanes.deliver(record('1'));
    here.lanes.forget({ tenant: 't', name: 's' });
    expect(books(here)).toBeUndefined();
  });
});
