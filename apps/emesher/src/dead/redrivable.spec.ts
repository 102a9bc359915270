import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Subscription } from '@eventmesh/delivery';
import { DeadSite, TENANT, caller, dying } from './test/dead-site.ts';
import type { DeadParts } from './index.ts';

const admin = caller('admin', { admin: ['#'], inspect: ['#'] });
const whole = { all: true };
const fast = { rateMax: 0, token: '' };
let site: DeadSite;
let parts: DeadParts;

beforeEach(async () => {
  site = new DeadSite();
  await site.open();
  site.subscribe('billing');
  parts = site.emesher('a');
});
afterEach(() => site.close());

const ids = async () => {
  const { items } = await parts.port.list(admin, {}, { size: 1000, token: '' });
  return items.map(({ id }) => id);
};

/** Events that were stored again. */
const stored = async (): Promise<number> => {
  const [partition] = (await site.store.logInfo(`events.${TENANT}`))?.partitions ?? [];
  return partition?.last ?? 0;
};

describe('a letter is redriven only to a subscription that can get it', () => {
  const none = { redriven: 0, missing: 0, unmatched: 0, forbidden: 0, nextToken: '' };
  const cases: [string, Partial<Subscription>, Partial<typeof none>][] = [
    ['as it was', {}, { redriven: 2 }],
    ['made again with the same filters', { createdMs: 2 }, { redriven: 2 }],
    ['with wider topic filters', { topicFilters: ['invoices/#', '#'] }, { redriven: 2 }],
    ['with other topic filters', { topicFilters: ['invoices/#'] }, { unmatched: 2 }],
    [
      'with filters that match one',
      { filters: [{ exact: { id: '2' } }] },
      { redriven: 1, unmatched: 1 },
    ],
    ['with filters that match none', { filters: [{ exact: { type: 'u' } }] }, { unmatched: 2 }],
    ['with filters in error', { filters: [{ sql: '1 / 0 = 1' }] }, { unmatched: 2 }],
    [
      'with filters that see what a redriven event has',
      { filters: [{ sql: 'meshredrives = 1' }] },
      { redriven: 2 },
    ],
    ['of the direct class', { deliveryClass: 'direct' }, { missing: 2 }],
    ['as a broadcast, which has parts only', { mode: 'broadcast' }, { missing: 2 }],
    ['with an owner without the right', { owner: 'user:poor' }, { forbidden: 2 }],
    ['with an owner that nobody knows', { owner: 'user:gone' }, { forbidden: 2 }],
    [
      'with other topic filters and an owner without the right',
      { owner: 'user:poor', topicFilters: ['invoices/#'] },
      { unmatched: 2 },
    ],
  ];

  it.each(cases)('%s', async (_, now, expected) => {
    site.receivers.set('poor', ['invoices/#']);
    await parts.letters.bury(TENANT, [dying(1), dying(2)]);
    site.subscriptions.set(`${TENANT}/billing`, { ...site.subscribe('billing'), ...now });
    expect(await parts.port.redrive(admin, whole, fast)).toEqual({ ...none, ...expected });
    const { redriven = 0 } = expected;
    expect(await stored()).toBe(redriven);
    expect(await ids()).toHaveLength(2 - redriven);
  });

  it('and one that stays is redriven once the subscription can get it', async () => {
    await parts.letters.bury(TENANT, [dying(1)]);
    site.subscribe('billing', 'user:owner', { topicFilters: ['invoices/#'] });
    expect(await parts.port.redrive(admin, whole, fast)).toMatchObject({ unmatched: 1 });
    site.subscribe('billing');
    expect(await parts.port.redrive(admin, whole, fast)).toMatchObject({ redriven: 1 });
    expect(await ids()).toEqual([]);
  });

  it('and while acl cannot tell it stays, and the call fails', async () => {
    await parts.letters.bury(TENANT, [dying(1)]);
    site.aclAway = true;
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toMatchObject({
      code: 'Unavailable',
    });
    expect(await stored()).toBe(0);
    expect(await ids()).toEqual([1]);
    site.aclAway = false;
    expect(await parts.port.redrive(admin, whole, fast)).toMatchObject({ redriven: 1 });
  });

  it('and an owner that redrives its own is judged by the rights that it has now', async () => {
    // As with a token: what it may lies in the token, and acl does not know it.
    site.subscribe('billing', 'user:bearer');
    site.receivers.delete('bearer');
    await parts.letters.bury(TENANT, [dying(1), dying(2)]);
    expect(await parts.port.redrive(admin, { ids: [1] }, fast)).toMatchObject({ forbidden: 1 });
    const bearer = caller('bearer', { subscribe: ['orders/#'] });
    expect(await parts.port.redrive(bearer, whole, fast)).toMatchObject({ redriven: 2 });
  });
});
