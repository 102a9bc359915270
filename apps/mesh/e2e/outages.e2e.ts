import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { Delivery, MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 120_000;
const WAIT_MS = 60_000;
const HELD_MAX = 64;
const WINDOW = 16;

const workspace = new Workspace();
let site: OneSite;
let publisher: MeshClient;

beforeAll(async () => {
  const lease = { ttl: '1s' };
  site = await OneSite.start(workspace.folder, { delivery: { heldMax: HELD_MAX }, lease });
  publisher = site.client('publisher');
}, 60_000);

afterAll(async () => {
  await site?.stop();
  await workspace.remove();
});

const settles = (check: () => void | Promise<void>) => eventually(check, { timeoutMs: WAIT_MS });

async function publish(topic: string, ids: readonly string[], key = ''): Promise<void> {
  const stream = publisher.publisher();
  const extensions = key === '' ? {} : { partitionkey: key };
  await stream.publishMany(
    ids.map((id) => ({ topic, event: { id, source: `/${topic}`, type: 't', extensions } })),
  );
  await stream.close();
}

/** What a consumer is given, and does with it. */
function consume(
  subscription: string | SubscriptionInput,
  work: (delivery: Delivery) => unknown,
  { credit = 512, consumer = 'c' } = {},
) {
  const client = site.client('subscriber');
  const stream = client.subscribe({ subscription, consumer, credit });
  const got: string[] = [];
  const ended = (async () => {
    for await (const delivery of stream) {
      got.push(delivery.event.id);
      work(delivery);
    }
  })().catch(() => undefined); // The site is killed.
  const leave = async () => {
    stream.close();
    await ended;
    client.close();
  };
  return { opened: stream.opened, got, leave };
}

const status = async (name: string): Promise<SubscriptionStatus> => {
  const path = `/v1/subscriptions/${name}`;
  return (await site.management.get<{ status: SubscriptionStatus }>(path)).status;
};

const ids = (kind: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => `${kind}-${from + at}`);

describe('a delay that a consumer has asked for', () => {
  it(
    'goes on over a kill of its emesher, and is told meanwhile',
    async () => {
      const name = 'patient';
      const soonMs = 3000;
      const lateMs = 3_600_000;
      let releasedMs = 0;
      const first = consume({ name, topicFilters: ['patient'] }, (delivery) => {
        releasedMs = Date.now();
        delivery.release(delivery.event.id === 'soon' ? soonMs : lateMs);
      });
      await first.opened;
      await publish('patient', ['late', 'soon']);
      await settles(async () => expect(await status(name)).toMatchObject({ delayed: 2, held: 2 }));
      await first.leave();
      // By its cursor, which is what there will be after the kill.
      await settles(async () => expect(await status(name)).toMatchObject({ delayed: 2, held: 0 }));
      await site.crash();

      let soonAtMs = 0;
      const second = consume(name, (delivery) => {
        if (delivery.event.id === 'soon') soonAtMs = Date.now();
        delivery.accept();
      });
      await second.opened;
      await publish('patient', ['new']);
      await settles(() => expect(second.got).toContain('soon'));
      expect(soonAtMs).toBeGreaterThanOrEqual(releasedMs + soonMs);
      await settles(() => expect(second.got.toSorted()).toEqual(['new', 'soon']));
      const now = await status(name);
      expect(now).toMatchObject({ delayed: 1, held: 1 });
      expect(Math.abs(now.nextDueMs - releasedMs - lateMs)).toBeLessThan(5000);
      const { out } = await workspace.run('subscriptions', ...site.flags('admin'));
      expect(out).toContain(`1, ${new Date(now.nextDueMs).toISOString()}`);
      await second.leave();
    },
    TEST_MS,
  );
});

describe('consumers that come back after an outage', () => {
  it(
    'get retries in a window that grows with their successes, and first deliveries at once',
    async () => {
      const name = 'storm';
      const retry = { kind: 'list', delaysMs: [100], attemptsMax: 1000 } as const;
      const spec = { name, topicFilters: ['storm'], retry };
      const failing = consume(spec, (delivery) => delivery.release());
      await failing.opened;
      const events = HELD_MAX - 4;
      await publish('storm', ids('storm', 0, events));
      await settles(async () => expect(await status(name)).toMatchObject({ retryWindow: WINDOW }));
      await settles(() => expect(new Set(failing.got).size).toBe(events));
      await failing.leave();

      const held: Delivery[] = [];
      let works = false;
      const back = consume(name, (delivery) => {
        if (works) delivery.accept();
        else held.push(delivery);
      });
      await back.opened;
      const waiting = { delayed: 0, paced: events - WINDOW, retryWindow: WINDOW };
      await settles(async () => expect(await status(name)).toMatchObject(waiting));
      await publish('storm', ['first']);
      await settles(() => expect(back.got).toContain('first'));
      expect(back.got).toHaveLength(WINDOW + 1);
      const labels = { subscription: name };
      await settles(async () => {
        expect(await site.metric('eventmesh_subscription_paced', labels)).toBe(waiting.paced);
        expect(await site.metric('eventmesh_subscription_retry_window', labels)).toBe(WINDOW);
      });

      works = true;
      for (const delivery of held) delivery.accept();
      await settles(async () => {
        const books = { delivered: events + 1, held: 0, paced: 0 };
        expect(await status(name)).toMatchObject(books);
      });
      expect(new Set(back.got).size).toBe(events + 1);
      expect(back.got).toHaveLength(events + 1);
      await back.leave();
    },
    TEST_MS,
  );

  it(
    'get theirs whatever one of them does that took the whole window and hangs',
    async () => {
      const name = 'hanging';
      const retry = { kind: 'list', delaysMs: [100], attemptsMax: 1000 } as const;
      // Longer than the test: the leases of the one that hangs do not end.
      const spec = { name, topicFilters: ['hanging'], retry, ackTimeoutMs: 10 * TEST_MS };
      const failing = consume(spec, (delivery) => delivery.release());
      await failing.opened;
      const events = HELD_MAX - 4;
      await publish('hanging', ids('hanging', 0, events));
      await settles(() => expect(new Set(failing.got).size).toBe(events));
      await failing.leave();

      const hangs = consume(name, () => undefined, { consumer: 'hangs' });
      await settles(() => expect(hangs.got).toHaveLength(WINDOW));
      const works = consume(name, (delivery) => delivery.accept(), { consumer: 'works' });
      await settles(async () => {
        const held = hangs.got.length;
        expect(await status(name)).toMatchObject({ delivered: events - held, held, paced: 0 });
      });
      expect(hangs.got.length).toBeLessThanOrEqual(events / 2);
      expect(works.got).toHaveLength(events - hangs.got.length);
      await Promise.all([hangs.leave(), works.leave()]);
    },
    TEST_MS,
  );
});

describe('an emesher that is killed while keys wait in the store', () => {
  const name = 'work';
  const EVENTS = 300;
  /** In this order, over the kill. */
  const accepted: string[] = [];

  /** One holds the first event of the stuck key, the other accepts what it gets of the others. */
  async function work(from: number, to: number) {
    const held: string[] = [];
    const slow = consume(name, ({ event }) => held.push(event.id), { consumer: 'slow', credit: 1 });
    await settles(() => expect(held).toEqual(['stuck-0']));
    const take = (delivery: Delivery) => {
      accepted.push(delivery.event.id);
      delivery.accept();
    };
    const quick = consume(name, take, { consumer: 'quick' });
    await quick.opened;
    for (let at = from; at < to; at += 50) {
      await publish('work', ids('stuck', Math.max(1, at), at + 50), 'stuck');
      await publish('work', ids('free', at, at + 50), `key-${at}`);
    }
    await settles(() => expect(new Set(accepted)).toEqual(new Set(ids('free', 0, to))));
    const now = await status(name);
    expect(now).toMatchObject({ parkedKeys: 1, stopped: '' });
    expect(now.parked).toBeGreaterThan(to - HELD_MAX - 1);
    return { slow, quick };
  }

  it(
    'goes on from what it had written: nothing of the stuck key is lost or out of order',
    async () => {
      const made = ['subscriptions', 'create', name, 'work', '--ordered', '--ack-timeout', '10m'];
      expect((await workspace.run(...made, ...site.flags('admin'))).code).toBe(0);
      await publish('work', ['stuck-0'], 'stuck');
      const first = await work(0, EVENTS / 2);
      await site.crash();
      await Promise.all([first.slow.leave(), first.quick.leave()]);

      const before = [...accepted];
      const { slow, quick } = await work(EVENTS / 2, EVENTS);
      // Of what was accepted only the last comes again, what the cursor did not have yet.
      const again = quick.got.filter((id) => before.includes(id));
      expect(new Set(again)).toEqual(new Set(before.slice(before.length - again.length)));

      quick.got.length = 0;
      await slow.leave();
      await settles(() => expect(quick.got).toHaveLength(EVENTS));
      expect(quick.got).toEqual(ids('stuck', 0, EVENTS));
      await settles(async () => {
        const books = { delivered: 2 * EVENTS, held: 0, parked: 0, parkedKeys: 0, lag: 0 };
        expect(await status(name)).toMatchObject(books);
      });
      await quick.leave();
    },
    TEST_MS,
  );
});
