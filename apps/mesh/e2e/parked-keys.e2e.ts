import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus, WhyReport } from '@eventmesh/adapter-api';
import type { Delivery, MeshClient, StreamPublisher } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

/** Far more than what may be in memory. */
const EVENTS = 600;
const HELD_MAX = 64;
const NAME = 'work';

const workspace = new Workspace();
let site: OneSite;
let publisher: MeshClient;
let stream: StreamPublisher;

beforeAll(async () => {
  const delivery = { heldMax: HELD_MAX };
  site = await OneSite.start(workspace.folder, { delivery });
  publisher = site.client('publisher');
  stream = publisher.publisher();
}, 60_000);

afterAll(async () => {
  await stream.close();
  await site.stop();
  await workspace.remove();
});

const publish = (...keyed: readonly (readonly [id: string, key: string])[]) =>
  stream.publishMany(
    keyed.map(([id, key]) => ({
      topic: 'jobs/a',
      event: { id, source: '/test', type: 't', extensions: { partitionkey: key } },
    })),
  );

/** A consumer with so much credit, and what it has been given. */
function consume(consumer: string, credit: number, work: (delivery: Delivery) => unknown) {
  const client = site.client('subscriber');
  const subscription = client.subscribe({ subscription: NAME, consumer, credit });
  const got: string[] = [];
  const ended = (async () => {
    for await (const delivery of subscription) {
      got.push(delivery.event.id);
      work(delivery);
    }
  })().catch(() => undefined); // The site goes away.
  const leave = async () => {
    subscription.close();
    await ended;
    client.close();
  };
  return { opened: subscription.opened, got, leave };
}

const status = async (): Promise<SubscriptionStatus> => {
  const { status: now } = await site.management.get<{ status: SubscriptionStatus }>(
    `/v1/subscriptions/${NAME}`,
  );
  return now;
};
const accept = (delivery: Delivery) => delivery.accept();
const ids = (kind: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `${kind}-${from + at}`);

describe('a consumer that holds a key while far more of it follows than memory has room for', () => {
  it('costs the other consumer nothing but that key, also over a restart', async () => {
    const made = ['subscriptions', 'create', NAME, 'jobs/#', '--ordered', '--ack-timeout', '10m'];
    expect((await workspace.run(...made, ...site.flags('admin'))).code).toBe(0);

    const held: Delivery[] = [];
    const slow = consume('slow', 1, (delivery) => held.push(delivery));
    await slow.opened;
    await publish(['stuck-0', 'stuck']);
    await eventually(() => expect(held.map(({ event }) => event.id)).toEqual(['stuck-0']));

    const quick = consume('quick', 512, accept);
    await quick.opened;
    const half = EVENTS / 2;
    for (let at = 1; at < half; at++) {
      await publish([`stuck-${at}`, 'stuck'], [`free-${at}`, `key-${at % 7}`]);
    }
    await eventually(() => expect(quick.got).toHaveLength(half - 1));
    expect(new Set(quick.got)).toEqual(new Set(ids('free', 1, half)));

    const [stuck] = (await status()).stuckKeys;
    expect(stuck).toMatchObject({ key: 'stuck', consumer: 'slow', waiting: half - 1 });
    expect(stuck?.parked).toBeGreaterThan(half - 1 - HELD_MAX);
    expect(await status()).toMatchObject({ held: half, parkedKeys: 1, lag: 0, stopped: '' });
    const labels = { subscription: NAME };
    // The gauge is set once a second.
    await eventually(async () => {
      const parked = await site.metric('eventmesh_subscription_parked', labels);
      expect(parked).toBeGreaterThan(half - 1 - HELD_MAX);
    });
    const last = `stuck-${half - 1}`;
    const why = await workspace.json<WhyReport>(
      ...['why', last, '--server', site.http],
      ...site.flags('admin'),
    );
    expect(why.answers[0]).toMatchObject({ state: 'key', consumer: 'slow' });
    expect(why.answers[0]?.reason).toContain(
      `key "stuck" is stuck: its first event is out with slow`,
    );

    // The owner ends in good order: what was settled beyond the stuck key does not come again.
    await site.process.end('SIGTERM');
    await Promise.all([slow.leave(), quick.leave()]);
    await site.process.start();
    stream = publisher.publisher();
    held.length = 0;
    const slowAgain = consume('slow', 1, (delivery) => held.push(delivery));
    await eventually(() => expect(held.map(({ event }) => event.id)).toEqual(['stuck-0']));
    const quickAgain = consume('quick', 512, accept);
    await quickAgain.opened;
    for (let at = half; at < EVENTS; at++) {
      await publish([`stuck-${at}`, 'stuck'], [`free-${at}`, `key-${at % 7}`]);
    }
    await eventually(() => expect(quickAgain.got).toHaveLength(EVENTS - half));
    expect(new Set(quickAgain.got)).toEqual(new Set(ids('free', half, EVENTS)));
    expect(await status()).toMatchObject({ held: EVENTS, delivered: EVENTS - 1, stopped: '' });

    // When it is settled all of its key comes, once, in order, to whoever has the key then.
    quickAgain.got.length = 0;
    held[0]?.accept();
    await slowAgain.leave();
    await eventually(() => expect(quickAgain.got).toHaveLength(EVENTS - 1));
    expect(quickAgain.got).toEqual(ids('stuck', 1, EVENTS));
    await eventually(async () => {
      const books = { held: 0, parked: 0, parkedKeys: 0, delivered: 2 * EVENTS - 1, lag: 0 };
      expect(await status()).toMatchObject(books);
    });
    await quickAgain.leave();
  }, 180_000);
});
