import { describe, expect, it } from '@jest/globals';
import { checkSubscription, type StuckKey, type Subscription } from '@eventmesh/delivery';
import { Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from '../metrics.ts';
import { tellStuckKeys } from './stuck-keys.ts';

const subscription: Subscription = {
  ...checkSubscription({ name: 'work', topicFilters: ['#'], ordered: true }),
  tenant: 't',
  owner: 'user:u',
  site: 's',
  createdMs: 0,
  revision: 1,
  broadcastOf: '',
};

const key = (name: string, consumer: string, heldMs: number): StuckKey => ({
  topic: 'a',
  key: name,
  consumer,
  heldMs,
  waiting: 1,
  parked: 0,
  failures: 0,
});

const waiting = { delayed: 0, nextDueMs: 0, paced: 0, retryWindow: 0 };
const IDLE = { parkedEvents: 0, parkedKeys: 0, cursorBytes: 0, stopped: undefined, waiting };

describe('the metrics of stuck keys', () => {
  it('say who holds which, leave out what is merely out, and forget what got unstuck', async () => {
    const metrics = new Metrics();
    const live = metrics.use(emesherMetrics);
    const keys = [key('x', 'c', 30_000), key('y', 'c', 20_000), key('z', '', 10_000)];
    const stopped = 'keys' as const;
    const slow = { delayed: 5, nextDueMs: 99, paced: 4, retryWindow: 17 };
    const more = { parkedEvents: 70, parkedKeys: 2, cursorBytes: 300, stopped, waiting: slow };
    const engine = { ...more, stuckKeys: () => [...keys, key('fine', 'd', 9000)] };
    const value = (name: string, labels: object) =>
      metrics.value(`eventmesh_subscription_${name}`, {
        tenant: 't',
        subscription: 'work',
        ...labels,
      });
    tellStuckKeys(live, [{ subscription, engine }]);
    expect(await value('stuck_keys', { consumer: 'c' })).toBe(2);
    expect(await value('stuck_keys', { consumer: '' })).toBe(1);
    expect(await value('stuck_keys', { consumer: 'd' })).toBe(0);
    expect(await value('stuck_key_seconds', { consumer: 'c', topic: 'a', key: 'x' })).toBe(30);
    expect(await value('parked', {})).toBe(70);
    expect(await value('parked_keys', {})).toBe(2);
    expect(await value('cursor_bytes', {})).toBe(300);
    expect(await value('stopped', { by: 'keys' })).toBe(1);
    expect(await value('delayed', {})).toBe(5);
    expect(await value('paced', {})).toBe(4);
    expect(await value('retry_window', {})).toBe(17);
    tellStuckKeys(live, []);
    expect(await value('parked', {})).toBe(0);
    expect(await value('stopped', { by: 'keys' })).toBe(0);
    expect(await value('retry_window', {})).toBe(0);
    expect(await value('stuck_keys', { consumer: 'c' })).toBe(0);
  });

  it('name ten keys of a subscription at most', async () => {
    const metrics = new Metrics();
    const live = metrics.use(emesherMetrics);
    const keys = Array.from({ length: 40 }, (_, at) => key(`k${at}`, 'c', 90_000 - at));
    tellStuckKeys(live, [
      { subscription, engine: { ...IDLE, stuckKeys: (max) => keys.slice(0, max) } },
    ]);
    const named = (await metrics.render()).match(/stuck_key_seconds\{/g) ?? [];
    expect(named).toHaveLength(10);
  });
});
