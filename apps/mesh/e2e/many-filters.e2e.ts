import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, SubscriptionStatus, WhyReport } from '@eventmesh/adapter-api';
import type { FilterSpec } from '@eventmesh/filter';
import type { MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const workspace = new Workspace();
let site: OneSite;
let subscriber: MeshClient;
let leave: AbortController;
const got = new Map<string, string[]>();

/** Enough of one topic for an index over their filters. */
const FILTERS: readonly (readonly [string, FilterSpec])[] = [
  ...Array.from({ length: 12 }, (_, i) => [`kind-${i}`, { exact: { type: `kind-${i}` } }] as const),
  ['prefixed', { prefix: { source: '/shop/1' } }],
  ['negated', { not: { exact: { type: 'kind-0' } } }],
  ['picky', { sql: "region = 'eu' AND type LIKE 'kind-%'" }],
];
const EVENTS = 24;

beforeAll(async () => {
  site = await OneSite.start(workspace.folder);
}, 60_000);
afterAll(async () => {
  await site.stop();
  await workspace.remove();
});

async function subscribeAll(): Promise<void> {
  subscriber = site.client('subscriber');
  leave = new AbortController();
  for (const [name, filter] of FILTERS) {
    const topicFilters = ['shop/one'];
    const stream = subscriber.subscribe({
      subscription: { name, topicFilters, filters: [filter], start: { kind: 'earliest' } },
      signal: leave.signal,
    });
    void (async () => {
      for await (const delivery of stream) {
        got.set(name, [...(got.get(name) ?? []), delivery.event.id]);
        delivery.accept();
      }
    })().catch(() => undefined); // The test ends it.
    await stream.opened;
  }
}

/** `kind-0` to `kind-3` in turn; every third one says its region, every sixth the one that counts. */
async function publishAll(round: string): Promise<void> {
  const publisher = site.client('publisher');
  for (let i = 0; i < EVENTS; i++) {
    await publisher.publish('shop/one', {
      id: `${round}-${i}`,
      source: `/shop/${i % 2}`,
      type: `kind-${i % 4}`,
      ...(i % 3 === 0 ? { extensions: { region: i % 6 === 0 ? 'eu' : 'us' } } : {}),
      data: Buffer.from('x'),
    });
  }
  publisher.close();
}

/** What each has to have of every 24 events. */
const SHARES: Readonly<Record<string, { delivered: number; filterErrors: number }>> = {
  'kind-0': { delivered: 6, filterErrors: 0 },
  'kind-1': { delivered: 6, filterErrors: 0 },
  'kind-2': { delivered: 6, filterErrors: 0 },
  'kind-3': { delivered: 6, filterErrors: 0 },
  prefixed: { delivered: 12, filterErrors: 0 },
  negated: { delivered: 18, filterErrors: 0 },
  picky: { delivered: 4, filterErrors: 16 },
};

async function booksAre(rounds: number): Promise<void> {
  for (const [name] of FILTERS) {
    const { delivered, filterErrors } = SHARES[name] ?? { delivered: 0, filterErrors: 0 };
    await eventually(async () => {
      const path = `/v1/subscriptions/${name}`;
      const { status } = await site.management.get<{ status: SubscriptionStatus }>(path);
      expect({ name, ...status }).toMatchObject({
        name,
        considered: rounds * EVENTS,
        delivered: rounds * delivered,
        filtered: rounds * (EVENTS - delivered),
        filterErrors: rounds * filterErrors,
        lag: 0,
      });
    });
  }
  const findings = await workspace.json<LedgerFinding[]>(
    ...['ledger', '--check', '--server', site.http],
    ...site.flags('admin'),
  );
  expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
}

describe('many subscriptions of one topic', () => {
  it('each get what their filters let through, with exact books, and again after a crash', async () => {
    await subscribeAll();
    await publishAll('first');
    await booksAre(1);
    expect(got.get('kind-2')).toEqual([2, 6, 10, 14, 18, 22].map((i) => `first-${i}`));
    expect(got.get('kind-7')).toBeUndefined();

    const { answers } = await workspace.json<WhyReport>(
      ...['why', 'first-23', '--subscription', 'kind-7', '--server', site.http],
      ...site.flags('admin'),
    );
    expect(answers.find(({ subject }) => subject === 'kind-7')).toMatchObject({
      state: 'filtered',
      reason: expect.stringContaining('kind-3'),
    });

    // What was passed without a match may not be written yet, and is looked at again.
    await site.crash();
    subscriber.close();
    await subscribeAll();
    await booksAre(1);
    await publishAll('second');
    await booksAre(2);

    // From here on the books are those that were written when they left.
    leave.abort();
    await eventually(async () => {
      const { status } = await site.management.get<{ status: SubscriptionStatus }>(
        '/v1/subscriptions/kind-7',
      );
      expect(status).toMatchObject({ consumers: 0, filtered: 2 * EVENTS, lag: 0 });
    });
    await booksAre(2);
    subscriber.close();
  }, 180_000);

  it('get direct events by their filters, too', async () => {
    const consumer = site.client('subscriber');
    const publisher = site.client('publisher');
    const heard: string[] = [];
    const gone = new AbortController();
    for (const [name, filter] of FILTERS) {
      const stream = consumer.subscribe({
        subscription: {
          name: `direct-${name}`,
          topicFilters: ['shop/direct'],
          filters: [filter],
          deliveryClass: 'direct',
        },
        signal: gone.signal,
      });
      void (async () => {
        for await (const delivery of stream) heard.push(`${delivery.event.id} ${name}`);
      })().catch(() => undefined); // The test leaves.
      await stream.opened;
    }
    const publish = (id: string, type: string, source: string) =>
      publisher.publish(
        'shop/direct',
        { id, type, source, data: Buffer.from('x') },
        { deliveryClass: 'direct' },
      );
    expect((await publish('a', 'kind-5', '/shop/0')).noInterest).toBe(false);
    await publish('b', 'kind-0', '/shop/1');
    await eventually(() => {
      expect(heard.toSorted()).toEqual(['a kind-5', 'a negated', 'b kind-0', 'b prefixed']);
    });
    gone.abort();
    publisher.close();
    consumer.close();
  }, 60_000);
});
