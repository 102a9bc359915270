import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, tempDir } from '@eventmesh/testing';
import { TwoSites } from './two-sites.ts';

const TEST_MS = 120_000;
const WAIT_MS = 60_000;
const FOREIGN = 2000;
const WANTED = 10;

const dir = tempDir('link-restarts');
let sites: TwoSites;

beforeAll(async () => {
  sites = await TwoSites.start(dir.path);
}, 60_000);

afterAll(async () => {
  await sites?.stop();
  dir.remove();
});

const atWest = (name: string): Promise<number> =>
  sites.metric('west', `eventmesh_link_${name}`, { to: 'east' });

const settles = (check: () => Promise<void>): Promise<void> =>
  eventually(check, { timeoutMs: WAIT_MS });

/** The neighbour keeps all that the link has looked at. */
const kept = (): Promise<void> => settles(async () => expect(await atWest('unkept')).toBe(0));

/** Publishes at west; the receipts of all are there. */
async function publish(topic: string, prefix: string, count: number): Promise<void> {
  const client = sites.client('west', 'publisher');
  const publisher = client.publisher();
  const ids = Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
  await Promise.all(ids.map((id) => publisher.publish(topic, { id, source: '/spec', type: 't' })));
  await publisher.close();
}

async function received(count: number): Promise<void> {
  const ids: string[] = [];
  const stop = new AbortController();
  const deliveries = sites
    .client('east', 'subscriber')
    .subscribe({ subscription: 'wanted', signal: stop.signal });
  for await (const delivery of deliveries) {
    ids.push(delivery.event.id);
    delivery.accept();
    if (ids.length === count) break;
  }
  stop.abort();
  expect(new Set(ids).size).toBe(count);
}

async function subscribe(name: string, filter: string): Promise<void> {
  const subscription = { name, topicFilters: [filter] };
  await sites
    .client('east', 'subscriber')
    .subscriptions.createSubscription({ subscription, convergeMs: 10_000n });
}

describe('a link over restarts', () => {
  it(
    'does not read again what was not for the neighbour, and brings everything once that is',
    async () => {
      await subscribe('wanted', 'wanted/#');
      await publish('wanted/a', 'a', WANTED);
      await publish('foreign/a', 'foreign', FOREIGN);
      await settles(async () => expect(await atWest('filtered_total')).toBe(FOREIGN));
      await settles(async () => expect(await atWest('delivered_total')).toBe(WANTED));
      await received(WANTED);
      await kept();

      await sites.crash('west');
      await sites.crash('east');
      await publish('wanted/a', 'b', WANTED);
      await publish('foreign/a', 'rest', 5);
      await settles(async () => expect(await atWest('filtered_total')).toBe(5));
      await settles(async () => expect(await atWest('delivered_total')).toBe(WANTED));
      await received(WANTED);
      // Nothing of the first start was looked at, neither after that of west nor after that of east.
      expect(await atWest('read_total')).toBe(WANTED + 5);
      expect(await atWest('taken_total')).toBe(WANTED);
    },
    TEST_MS,
  );

  it(
    'brings a site that has interest from now on what comes from now on, also after a restart',
    async () => {
      await kept();
      await subscribe('late', 'foreign/#');
      await sites.crash('west');
      expect(await atWest('read_total')).toBe(0);
      await publish('foreign/a', 'late', WANTED);
      await settles(async () => expect(await atWest('delivered_total')).toBe(WANTED));
      expect(await atWest('read_total')).toBe(WANTED);
    },
    TEST_MS,
  );
});
