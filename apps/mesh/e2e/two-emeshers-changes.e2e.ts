import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Subscription_Mode } from '@eventmesh/proto-gen/subscriber';
import type { MeshError } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Taker, type TakerOptions, type Wanted } from './faults/taker.ts';

const TEST_MS = 90_000;

const dir = tempDir('two-emeshers-changes');
const takers: Taker[] = [];
let mesh: SiteMesh;

beforeAll(async () => {
  mesh = await SiteMesh.start(dir.path, { west: 2 });
}, 120_000);
afterEach(async () => {
  await Promise.all(takers.splice(0).map((taker) => taker.leave()));
});
afterAll(async () => {
  await mesh?.stop();
  dir.remove();
}, 60_000);

const first = (): Emesher => mesh.emesher(0);
const second = (): Emesher => mesh.emesher(1);
const at = (n: number): Emesher => (n % 2 === 0 ? first() : second());

/** The subscriptions that an emesher lists, by name. */
async function listed(n: number): Promise<ReadonlyMap<string, Wanted>> {
  const { items } = await mesh
    .manage(at(n))
    .get<{ readonly items: { readonly subscription: Wanted }[] }>('/v1/subscriptions?size=1000');
  return new Map(items.map(({ subscription }) => [subscription.name, subscription]));
}

async function take(place: Emesher, options: TakerOptions): Promise<Taker> {
  const taker = await Taker.attach(mesh.client(place, 'subscriber'), options);
  takers.push(taker);
  return taker;
}

async function publish(topic: string, id: string): Promise<void> {
  const client = mesh.client(first(), 'publisher');
  await client.publish(topic, { id, source: '/changes', type: 'com.example.changes' });
  client.close();
}

const named = (name: string, more: Partial<Wanted> = {}): Wanted => ({
  name,
  topicFilters: [`${name}/#`],
  ...more,
});

describe('a subscription that several change at the same time', () => {
  const subscriptions = (n: number) => {
    const client = mesh.client(at(n), 'admin');
    return { service: client.subscriptions, close: () => client.close() };
  };
  const clients = () => [subscriptions(0), subscriptions(1)] as const;
  const shown = async (n: number, name: string) => {
    const path = `/v1/subscriptions/${name}`;
    return (await mesh.manage(at(n)).get<{ readonly subscription: Wanted }>(path)).subscription;
  };

  it(
    'has every change that was accepted, none of which named a revision',
    async () => {
      const [one, two] = clients();
      const service = (n: number) => (n % 2 === 0 ? one : two).service;
      const name = 'crowded';
      await one.service.createSubscription({ subscription: { name, topicFilters: ['crowded/0'] } });
      await eventually(() => shown(1, name));
      const update = (n: number, more: object) =>
        service(n).updateSubscription({ subscription: { name, ...more } });
      await Promise.all([
        ...[0, 1, 2, 3].map((n) => update(n, { topicFilters: [`crowded/${n}`] })),
        ...[0, 1, 2].map((n) => service(n).pauseSubscription({ name, paused: true })),
        update(1, { ackTimeoutMs: 7000n }),
        update(0, { retry: { attemptsMax: 3 } }),
        update(1, { retry: { delayMs: 10n } }),
      ]);
      const wanted = { paused: true, ackTimeoutMs: 7000, retry: { attemptsMax: 3, delayMs: 10 } };
      for (const n of [0, 1]) {
        await eventually(async () => expect(await shown(n, name)).toMatchObject(wanted));
      }
      one.close();
      two.close();
    },
    TEST_MS,
  );

  it(
    'is one with its parts when it is a broadcast, at every emesher',
    async () => {
      const [one, two] = clients();
      const consumers = ['a', 'b', 'c', 'd'];
      for (let round = 0; round < 6; round++) {
        const name = `whole-${round}`;
        const subscription = named(name, { mode: 'broadcast' });
        for (const [n, consumer] of consumers.entries()) {
          await take(at(n), { subscription, consumer });
        }
        const update = (to: ReturnType<typeof subscriptions>, topic: string) =>
          to.service.updateSubscription({ subscription: { name, topicFilters: [topic] } });
        await Promise.all([
          update(one, `${name}/x`),
          two.service.pauseSubscription({ name, paused: true }),
          update(two, `${name}/y`),
        ]);
        for (const n of [0, 1]) {
          await eventually(async () => {
            const { topicFilters, paused } = await shown(n, name);
            expect(paused).toBe(true);
            for (const consumer of consumers) {
              const part = await shown(n, `${name}:${consumer}`);
              expect(part).toMatchObject({ topicFilters, paused });
            }
          });
        }
      }
      one.close();
      two.close();
    },
    TEST_MS,
  );

  it(
    'takes every part along when it is deleted, and none comes back with another one of its name',
    async () => {
      const [one, two] = clients();
      const name = 'joined';
      const mode = Subscription_Mode.BROADCAST;
      const subscription = { name, mode, topicFilters: ['joined/old'] };
      const left = async (n: number) =>
        [...(await listed(n)).keys()].filter((each) => each.startsWith(name));
      // One after the other, so that some are on their way whenever it is deleted; and each comes again
      // when it is told to.
      const comes = async (n: number): Promise<unknown> => {
        await setTimeout(5 * n);
        for (;;) {
          const taker = take(at(n), { subscription: name, consumer: `c${n}` });
          const refused = await taker.then(
            async ({ gone }) => gone,
            (error: MeshError) => error,
          );
          if (refused.code !== 'Unavailable') return refused;
        }
      };
      for (let round = 0; round < 16; round++) {
        await one.service.createSubscription({ subscription });
        await eventually(() => shown(1, name));
        const coming = Array.from({ length: 12 }, (_, n) => comes(n));
        await setTimeout(2 * round);
        await (round % 2 === 0 ? one : two).service.deleteSubscription({ name });
        for (const n of [0, 1]) await eventually(async () => expect(await left(n)).toEqual([]));
        for (const refused of await Promise.all(coming)) {
          expect(refused).toMatchObject({ code: 'NotFound' });
        }
      }
      const other = named(name, { mode: 'broadcast', topicFilters: ['joined/new'] });
      const again = await take(second(), { subscription: other, consumer: 'a' });
      await publish('joined/old', 'old');
      await publish('joined/new', 'new');
      await eventually(() => expect(again.ids).toEqual(['new']));
      one.close();
      two.close();
    },
    TEST_MS,
  );
});

describe('one part of a broadcast', () => {
  it(
    'is paused and moved by its name at either emesher, and changed with the whole alone',
    async () => {
      const name = 'apart';
      const a = await take(first(), {
        subscription: named(name, { mode: 'broadcast' }),
        consumer: 'a',
      });
      await eventually(async () => expect((await listed(1)).get(name)).toBeDefined());
      const b = await take(second(), { subscription: name, consumer: 'b' });
      const client = mesh.client(second(), 'admin');
      const { subscriptions } = client;
      const paused = async (n: number) => {
        const all = await listed(n);
        return [name, `${name}:a`, `${name}:b`].map((each) => all.get(each)?.paused);
      };
      const pause = async (of: string, is: boolean, wanted: boolean[]) => {
        await eventually(async () => expect((await listed(1)).get(of)).toBeDefined());
        await subscriptions.pauseSubscription({ name: of, paused: is });
        for (const n of [0, 1]) {
          await eventually(async () => expect(await paused(n)).toEqual(wanted));
        }
      };
      await pause(`${name}:a`, true, [false, true, false]);
      await publish('apart/x', 'apart-1');
      await eventually(() => expect(b.ids).toEqual(['apart-1']));
      await pause(name, true, [true, true, true]);
      await pause(name, false, [false, true, false]);
      expect(a.ids).toEqual([]);
      await pause(`${name}:a`, false, [false, false, false]);
      await eventually(() => expect(a.ids).toEqual(['apart-1']));
      const subscription = { name: `${name}:a`, topicFilters: ['other'] };
      await expect(subscriptions.updateSubscription({ subscription })).rejects.toMatchObject({
        code: 'InvalidArgument',
        details: { field: 'name' },
      });
      const start = { from: { case: 'earliest' as const, value: {} } };
      await subscriptions.seekSubscription({ name: `${name}:a`, start });
      expect(await a.gone).toMatchObject({ reason: 'SEEK' });
      const again = await take(second(), { subscription: name, consumer: 'a' });
      await eventually(() => expect(again.ids).toEqual(['apart-1']));
      expect(b.ended).toBeUndefined();
      await subscriptions.deleteSubscription({ name });
      client.close();
    },
    TEST_MS,
  );
});

describe('an ephemeral broadcast', () => {
  it(
    'is changed at either emesher, and goes with its last consumer, at whichever that is',
    async () => {
      const subscription = named('brief', { mode: 'broadcast', ephemeral: true });
      const shown = async (n: number) => (await listed(n)).get('brief');
      const here = await take(first(), { subscription });
      await eventually(async () => expect(await shown(1)).toBeDefined());
      const there = await take(second(), { subscription: 'brief' });
      const client = mesh.client(second(), 'admin');
      await client.subscriptions.pauseSubscription({ name: 'brief', paused: true });
      await eventually(async () => expect(await shown(0)).toMatchObject({ paused: true }));
      await publish('brief/x', 'brief-1');
      await client.subscriptions.pauseSubscription({ name: 'brief', paused: false });
      for (const each of [here, there])
        await eventually(() => expect(each.ids).toEqual(['brief-1']));
      await here.leave();
      await publish('brief/x', 'brief-2');
      await eventually(() => expect(there.ids).toEqual(['brief-1', 'brief-2']));
      await there.leave();
      for (const n of [0, 1]) {
        await eventually(async () => expect(await shown(n)).toBeUndefined());
      }
      client.close();
    },
    TEST_MS,
  );
});
