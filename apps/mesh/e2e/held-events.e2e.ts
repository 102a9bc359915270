import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, tempDir } from '@eventmesh/testing';
import { Taker } from './faults/taker.ts';
import { OneSite } from './one-site.ts';

const TEST_MS = 120_000;
const HELD_MAX = 64;

const dir = tempDir('held-events');
let site: OneSite;

beforeAll(async () => {
  site = await OneSite.start(dir.path, { delivery: { heldMax: HELD_MAX } });
}, TEST_MS);

afterAll(async () => {
  await site?.stop();
  dir.remove();
}, 30_000);

describe('a subscription whose consumer is slow', () => {
  it(
    'holds as many events as it may and no more, and has the others when it comes to them',
    async () => {
      const name = 'lots';
      const subscription = { name, topicFilters: [name], ackTimeoutMs: 600_000 };
      const settle = () => undefined;
      const slow = await Taker.attach(site.client('subscriber'), {
        ...{ subscription, credit: 1, consumer: 'slow', settle },
      });
      const ids = Array.from({ length: 1000 }, (_, n) => `lots-${n}`);
      const stream = site.client('publisher').publisher();
      await stream.publishMany(
        ids.map((id) => ({ topic: name, event: { id, source: '/held', type: 'test' } })),
      );
      await stream.close();
      const held = () => site.metric('eventmesh_subscription_held', { subscription: name });
      await eventually(async () => {
        expect(await held()).toBe(HELD_MAX);
        expect(slow.taken).toHaveLength(1);
      });
      const quick = await Taker.attach(site.client('subscriber'), {
        ...{ subscription: name, credit: 512, consumer: 'quick' },
      });
      await eventually(async () => expect(await held()).toBe(1), { timeoutMs: TEST_MS / 2 });
      expect([...slow.ids, ...quick.ids].toSorted()).toEqual(ids.toSorted());
      for (const taker of [slow, quick]) await taker.leave();
    },
    TEST_MS,
  );
});
