import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { Delivery } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { TwoSites, type SiteName } from './two-sites.ts';

const TEST_MS = 120_000;
const WAIT_MS = 60_000;
/** Far more than one subscription may have in memory, or one consumer out. */
const EVENTS = 1000;
const HELD_MAX = 64;
const OUT_MAX = 16;

const dir = tempDir('isolation');
let sites: TwoSites;

beforeAll(async () => {
  sites = await TwoSites.start(dir.path, { dataPlane: { delivery: { heldMax: HELD_MAX } } });
}, 60_000);

afterAll(async () => {
  await sites?.stop();
  dir.remove();
});

const settles = (check: () => void | Promise<void>) => eventually(check, { timeoutMs: WAIT_MS });
const all = Array.from({ length: EVENTS }, (_, n) => String(n));
/** The first event, and every tenth one, is of the key that gets stuck. */
const byNumber = (a: string, b: string) => Number(a) - Number(b);
const isStuck = (id: string) => Number(id) % 10 === 0;

interface Taken {
  readonly got: string[];
  readonly leave: () => Promise<void>;
}

async function consume(
  site: SiteName,
  subscription: SubscriptionInput,
  work: (delivery: Delivery) => unknown,
  consumer: string,
  credit = 512,
): Promise<Taken> {
  const stop = new AbortController();
  const stream = sites
    .client(site, 'subscriber')
    .subscribe({ subscription, consumer, credit, convergeMs: 10_000, signal: stop.signal });
  const got: string[] = [];
  const ended = (async () => {
    for await (const delivery of stream) {
      got.push(delivery.event.id);
      work(delivery);
    }
  })().catch(() => undefined); // The test leaves.
  await stream.opened;
  const leave = async () => {
    stop.abort();
    await ended;
  };
  return { got, leave };
}

const books = async (site: SiteName, name: string) => {
  const { status } = await sites.client(site, 'subscriber').subscriptions.getSubscription({ name });
  return status;
};

const accept = (delivery: Delivery) => delivery.accept();

async function publish(ids: readonly string[]): Promise<void> {
  const stream = sites.client('west', 'publisher').publisher();
  for (let at = 0; at < ids.length; at += 100) {
    const receipts = await stream.publishMany(
      ids.slice(at, at + 100).map((id) => ({
        topic: 'shared/a',
        event: {
          ...{ id, source: '/test', type: 't' },
          extensions: { partitionkey: isStuck(id) ? 'stuck' : `key-${Number(id) % 7}` },
        },
      })),
    );
    expect(receipts.every((receipt) => 'position' in receipt)).toBe(true);
  }
  await stream.close();
}

describe('a subscription whose consumers work', () => {
  it(
    'gets everything, in order, beside a stuck key, a dead consumer and a link that is down',
    async () => {
      const topicFilters = ['shared/#'];
      const patient = { ackTimeoutMs: 600_000, inFlightMax: OUT_MAX };
      // Stuck: a consumer holds the first event of a key, for ever; another one does the rest.
      const stuck = { name: 'stuck', topicFilters, ordered: true, ackTimeoutMs: 600_000 };
      const holding = await consume('west', stuck, () => undefined, 'holds', 1);
      // Dead: it takes what it may have and settles nothing.
      const dead = { name: 'dead', topicFilters, ...patient };
      const taking = await consume('west', dead, () => undefined, 'dead');
      const far = { name: 'far', topicFilters };
      const east = await consume('east', far, accept, 'far');
      await east.leave();
      const healthy = { name: 'healthy', topicFilters, ordered: true };
      const works = await consume('west', healthy, accept, 'healthy');
      await publish(all.slice(0, 1));
      await settles(() => expect(holding.got).toEqual(['0']));
      const others = await consume('west', stuck, accept, 'works');

      await sites.crash('east', async () => {
        await publish(all.slice(1));
        await settles(() => expect(works.got).toHaveLength(EVENTS));
        expect(works.got).toEqual(all);
        await settles(async () => {
          const status = await books('west', 'healthy');
          expect(status).toMatchObject({ delivered: BigInt(EVENTS), held: 0n, lag: 0n });
        });
        // Each of the others has its own lag, and only that.
        await settles(() =>
          expect(others.got.toSorted(byNumber)).toEqual(all.filter((id) => !isStuck(id))),
        );
        await settles(async () => {
          const status = await books('west', 'stuck');
          expect(status).toMatchObject({ delivered: 900n, held: 100n, lag: 0n, stopped: '' });
        });
        expect(taking.got).toEqual(all.slice(0, OUT_MAX));
        expect(await books('west', 'dead')).toMatchObject({ delivered: 0n, consumers: 1 });
        expect(await sites.metric('west', 'eventmesh_link_up', { to: 'east' })).toBe(0);
      });

      // What was down or dead goes on from where it was.
      const again = await consume('east', far, accept, 'far');
      await settles(() => expect(again.got.toSorted(byNumber)).toEqual(all));
      await taking.leave();
      const heir = await consume('west', dead, accept, 'heir');
      await settles(() => expect(new Set(heir.got)).toEqual(new Set(all)));
      await Promise.all([holding, others, works, again, heir].map(({ leave }) => leave()));
    },
    TEST_MS,
  );
});
