import { describe, expect, it } from '@jest/globals';
import type { QuotaHandle, SubscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import fc from 'fast-check';
import { SubscriptionCounts } from '../control/subscription-counts.ts';
import { SubscriptionQuota } from './subscription-quota.ts';

type Limits = QuotaHandle['subscriptionsMax'];
type Owned = Pick<Subscription, 'tenant' | 'name' | 'owner' | 'broadcastOf'>;

/** A directory with quotas, and makers that put what they make into it. */
function site(limits: Limits) {
  const subscriptions = new Map<SubscriptionKey, Subscription>();
  const counts = new SubscriptionCounts();
  const put = (principal: string, name: string, broadcastOf = '') => {
    const owned: Owned = { tenant: 't', name, owner: `user:${principal}`, broadcastOf };
    subscriptions.set(`t/${name}`, owned as Subscription);
    counts.add(owned);
  };
  const quota = { subscriptionsMax: limits } as QuotaHandle;
  const quotas = new SubscriptionQuota({
    directory: { subscriptions, counts },
    policies: { quota: () => quota },
  });
  const within = (principal: string, name: string, make: () => Promise<void>) => {
    const session = { tenant: 't', kind: 'user' as const, name: principal, roles: [] };
    return quotas.within({ principal: session, quota: undefined }, name, make);
  };
  const make = (principal: string, name: string) =>
    within(principal, name, () => Promise.resolve(put(principal, name)));
  return { put, make, within };
}

const refusal = (limit: number) => ({
  code: 'ResourceExhausted',
  details: { field: 'subscription', limit: `${limit} subscriptions`, reason: 'QUOTA' },
});

describe('the quota of subscriptions', () => {
  it('is unlimited when nobody has set it', async () => {
    const { make } = site({ ofTenant: 0, ofPrincipal: 0 });
    for (let count = 0; count < 100; count++) await make('ann', `s${count}`);
  });

  it('holds for a principal without touching the others', async () => {
    const { make } = site({ ofTenant: 0, ofPrincipal: 1 });
    await make('ann', 'a');
    await expect(make('ann', 'b')).rejects.toMatchObject(refusal(1));
    await make('bob', 'b');
  });

  it('holds for a tenant, whoever made the others', async () => {
    const { make } = site({ ofTenant: 2, ofPrincipal: 9 });
    await make('ann', 'a');
    await make('bob', 'b');
    await expect(make('cy', 'c')).rejects.toMatchObject(refusal(2));
    await expect(make('cy', 'c')).rejects.toThrow('delete one that nobody needs');
  });

  it('takes a broadcast with its parts as one', async () => {
    const { put, make } = site({ ofTenant: 2, ofPrincipal: 0 });
    put('ann', 'news');
    for (const part of ['x', 'y', 'z']) put('ann', `news:${part}`, 'news');
    await make('ann', 'b');
    await expect(make('ann', 'c')).rejects.toMatchObject(refusal(2));
  });

  it('counts what is known already while it is being made once only', async () => {
    const { put, make, within } = site({ ofTenant: 2, ofPrincipal: 2 });
    await within('ann', 'a', async () => {
      put('ann', 'a');
      await make('ann', 'b');
    });
    await expect(make('ann', 'c')).rejects.toMatchObject(refusal(2));
  });

  it('counts what is being made, once, and no more when it failed', async () => {
    const { put, make, within } = site({ ofTenant: 2, ofPrincipal: 0 });
    const gate = Promise.withResolvers<void>();
    const first = within('ann', 'a', () => gate.promise);
    const stored = within('ann', 'b', async () => {
      put('ann', 'b');
      await gate.promise;
    });
    await expect(make('ann', 'c')).rejects.toMatchObject(refusal(2));
    // The same one, by two callers at a time.
    const again = within('bob', 'a', () => Promise.reject(new Error('the store is away')));
    await expect(again).rejects.toThrow('away');
    await expect(make('ann', 'c')).rejects.toMatchObject(refusal(2));
    gate.resolve();
    await Promise.all([first, stored]);
    await make('ann', 'c');
    await expect(make('ann', 'd')).rejects.toMatchObject(refusal(2));
  });
});

describe('the counts of subscriptions', () => {
  it('are those of counting anew, whatever comes and goes', () => {
    const owned = fc.record({
      tenant: fc.constantFrom('t', 'u'),
      owner: fc.constantFrom('user:ann', 'api-key:ann', 'user:bob', 'token:a:b'),
      broadcastOf: fc.constantFrom('', '', 'news'),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(owned, fc.boolean())), (steps) => {
        const counts = new SubscriptionCounts();
        const there: (typeof steps)[number][0][] = [];
        for (const [subscription, stays] of steps) {
          counts.add(subscription);
          if (stays) there.push(subscription);
          else counts.remove(subscription);
        }
        for (const tenant of ['t', 'u']) {
          const own = there.filter((each) => each.tenant === tenant && each.broadcastOf === '');
          expect(counts.ofTenant(tenant)).toBe(own.length);
          for (const name of ['ann', 'bob', 'a:b']) {
            const mine = own.filter(({ owner }) => owner.endsWith(`:${name}`));
            expect(counts.ofPrincipal(tenant, name)).toBe(mine.length);
          }
        }
      }),
    );
  });
});
