import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Taker } from './faults/taker.ts';

const TEST_MS = 60_000;

const dir = tempDir('two-emeshers-link');
let mesh: SiteMesh;
const takers: Taker[] = [];

beforeAll(async () => {
  mesh = await SiteMesh.start(dir.path, { west: 2, east: 1 });
}, 180_000);

afterAll(async () => {
  await Promise.all(takers.map((taker) => taker.leave()));
  await mesh?.stop();
  dir.remove();
}, 60_000);

const west = (): Emesher[] => [mesh.emesher(0), mesh.emesher(1)];
const east = (): Emesher => mesh.emesher(0, 'east');

async function take(at: Emesher, name: string): Promise<Taker> {
  const taker = await Taker.attach(mesh.client(at, 'subscriber'), {
    subscription: {
      name,
      topicFilters: [`${name}/#`],
      deliveryClass: 'direct',
      mode: 'broadcast',
    },
  });
  takers.push(taker);
  return taker;
}

async function publish(at: Emesher, topic: string, id: string): Promise<void> {
  const client = mesh.client(at, 'publisher');
  try {
    const event = { id, source: '/two', type: 'com.example.two' };
    await client.publish(topic, event, { deliveryClass: 'direct' });
  } finally {
    client.close();
  }
}

const linkUp = (at: Emesher): Promise<number> =>
  mesh.metric(at, 'eventmesh_link_up', { to: 'east' });

/** Waits until one of both at west has the link. */
const owner = (): Promise<{ has: Emesher; other: Emesher }> =>
  eventually(async () => {
    const [first, second] = [mesh.emesher(0), mesh.emesher(1)];
    const [up, otherUp] = [await linkUp(first), await linkUp(second)];
    expect(up + otherUp).toBe(1);
    return up === 1 ? { has: first, other: second } : { has: second, other: first };
  });

describe('a direct event over a link of a site with two emeshers', () => {
  it(
    'leaves from either of them, though only one has the link, and arrives once',
    async () => {
      const taker = await take(east(), 'to-east');
      for (const [index, at] of west().entries()) {
        await eventually(
          async () => {
            await publish(at, 'to-east/warm', `warm-${index}`);
            expect(taker.ids).toContain(`warm-${index}`);
          },
          { timeoutMs: 10_000 },
        );
        await publish(at, 'to-east/x', `from-${index}`);
      }
      await eventually(() =>
        expect(taker.ids).toEqual(expect.arrayContaining(['from-0', 'from-1'])),
      );
      const real = taker.ids.filter((id) => id.startsWith('from-'));
      expect(real.sort()).toEqual(['from-0', 'from-1']);
    },
    TEST_MS,
  );

  it(
    'reaches the consumers at both when it comes in over the link of one',
    async () => {
      const both: Taker[] = [];
      for (const at of west()) both.push(await take(at, 'to-west'));
      await eventually(
        async () => {
          await publish(east(), 'to-west/warm', 'warm');
          for (const taker of both) expect(taker.ids).toContain('warm');
        },
        { timeoutMs: 10_000 },
      );
      for (const id of ['1', '2', '3']) await publish(east(), 'to-west/x', id);
      for (const taker of both) {
        const real = () => taker.ids.filter((id) => id !== 'warm');
        await eventually(() => expect(real()).toEqual(['1', '2', '3']));
      }
    },
    TEST_MS,
  );
});

describe('a link whose owner is paused while the other emesher of its site takes it', () => {
  async function publishSome(at: Emesher, prefix: string): Promise<string[]> {
    const client = mesh.client(at, 'publisher');
    const ids = Array.from({ length: 20 }, (_, n) => `${prefix}-${n}`);
    for (const id of ids) await client.publish('zombie/a', { id, source: '/two', type: 't' });
    client.close();
    return ids;
  }

  it(
    'takes nothing of the former owner when it wakes, which stands by then, and brings all once',
    async () => {
      const taker = await Taker.attach(mesh.client(east(), 'subscriber'), {
        subscription: { name: 'zombie', topicFilters: ['zombie/#'] },
        convergeMs: 10_000,
      });
      takers.push(taker);
      const { has, other } = await owner();
      const all = await publishSome(has, 'before');
      await eventually(() => expect(taker.ids).toEqual(all));
      has.process.signal('SIGSTOP');
      all.push(...(await publishSome(other, 'meanwhile')));
      await eventually(() => expect(taker.ids).toEqual(all), { timeoutMs: 20_000 });
      expect(await linkUp(other)).toBe(1);
      const sent = await mesh.metric(other, 'eventmesh_link_sent_total', { to: 'east' });
      has.process.signal('SIGCONT');
      all.push(...(await publishSome(other, 'after')));
      await eventually(async () => expect(await linkUp(has)).toBe(0));
      all.push(...(await publishSome(has, 'awake')));
      await eventually(() => expect(taker.ids).toEqual(all));
      expect(await mesh.metric(east(), 'eventmesh_link_fenced_total', { from: 'west' })).toBe(1);
      // Whoever has the link was not disturbed: it has sent each event once, over one connection.
      expect(await linkUp(other)).toBe(1);
      const now = await mesh.metric(other, 'eventmesh_link_sent_total', { to: 'east' });
      expect(now - sent).toBe(40);
    },
    TEST_MS,
  );
});

describe('a direct event whose link is down', () => {
  it(
    'is counted once, by the emesher that has the link, and not handed to the other one',
    async () => {
      const { has, other } = await owner();
      const direct = (at: Emesher, outcome: string): Promise<number> =>
        mesh.metric(at, 'eventmesh_direct_events_total', { outcome });
      await east().process.kill();
      await eventually(async () => expect(await linkUp(has)).toBe(0));
      const before = await direct(has, 'link-dropped');
      const handed = await direct(has, 'to-emesher');
      const beside = await direct(other, 'link-dropped');
      for (const id of ['down-1', 'down-2', 'down-3']) await publish(has, 'to-east/x', id);
      expect((await direct(has, 'link-dropped')) - before).toBe(3);
      expect(await direct(has, 'to-emesher')).toBe(handed);
      expect(await direct(other, 'link-dropped')).toBe(beside);
    },
    TEST_MS,
  );
});
