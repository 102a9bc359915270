import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tempDir } from '@eventmesh/testing';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 180_000;

const dir = tempDir('timers-takeover');
const workspace = new Workspace();
let mesh: SiteMesh;

beforeAll(async () => {
  mesh = await SiteMesh.start(dir.path, { west: 2 });
}, 120_000);

afterAll(async () => {
  await mesh?.stop();
  await workspace.remove();
  dir.remove();
}, 60_000);

/** Schedules `count` events at an emesher, all due at times within the next seconds. */
async function schedule(at: Emesher, prefix: string, count: number): Promise<void> {
  const client = mesh.client(at, 'publisher');
  const stream = client.publisher();
  const entries = Array.from({ length: count }, (_, n) => ({
    topic: 'takeover/x',
    event: { id: `${prefix}-${n}`, source: '/takeover', type: 'test' },
    deliverAfterMs: 1000 + 40 * n,
  }));
  const outcomes = await stream.publishMany(entries);
  expect(outcomes.every((outcome) => 'deliverAtMs' in outcome)).toBe(true);
  await stream.close();
  client.close();
}

/** The ids of what is stored, read until there are as many as wanted and a marker behind them. */
async function stored(at: Emesher, wanted: number): Promise<string[]> {
  const client = mesh.client(at, 'subscriber');
  const publisher = mesh.client(at, 'publisher');
  const ids: string[] = [];
  const spec = {
    name: `takeover-${wanted}`,
    topicFilters: ['takeover/#'],
    start: { kind: 'earliest' } as const,
  };
  for await (const delivery of client.subscribe({ subscription: spec })) {
    delivery.accept();
    if (delivery.event.id === `end-${wanted}`) break;
    ids.push(delivery.event.id);
    if (ids.length !== wanted) continue;
    const end = { id: `end-${wanted}`, source: '/takeover', type: 'end' };
    await publisher.publish('takeover/x', end);
  }
  client.close();
  publisher.close();
  return ids.filter((id) => !id.startsWith('end')).sort();
}

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

describe('the timers of a site with two emeshers', () => {
  it(
    'are taken back and scheduled again at either of them',
    async () => {
      const emeshers = [mesh.emesher(0), mesh.emesher(1)];
      const clients = emeshers.map((emesher) => mesh.client(emesher, 'publisher'));
      const back = { id: 'back', source: '/takeover', type: 'test' };
      for (const client of clients) {
        for (const other of emeshers) {
          const receipt = await client.publish('back', back, { deliverAfterMs: 3_600_000 });
          expect(receipt.duplicate).toBe(false);
          const again = await client.publish('back', back, { deliverAfterMs: 3_600_000 });
          expect(again).toMatchObject({ duplicate: true, position: receipt.position });
          const flags = mesh.flags(other, 'publisher');
          const answer = await workspace.json('schedules', 'cancel', 'back', ...flags);
          expect(answer).toMatchObject({ cancelled: 1 });
        }
      }
      for (const client of clients) client.close();
    },
    TEST_MS,
  );

  it(
    'fire once each, whichever of them dies while they come due',
    async () => {
      const [first, second] = [mesh.emesher(0), mesh.emesher(1)];
      await schedule(first, 'a', 100);
      await schedule(second, 'b', 100);
      await first.process.kill();
      const all = [...numbered('a', 100), ...numbered('b', 100)];
      expect(await stored(second, 200)).toEqual(all.toSorted());
      await first.process.start();
      await schedule(first, 'c', 100);
      await schedule(second, 'd', 100);
      await second.process.kill();
      const more = [...all, ...numbered('c', 100), ...numbered('d', 100)];
      expect(await stored(first, 401)).toEqual(more.toSorted());
      await second.process.start();
    },
    TEST_MS,
  );
});
