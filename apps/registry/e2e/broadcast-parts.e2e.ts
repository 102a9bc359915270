import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Member_Kind } from '@eventmesh/proto-gen/registry';
import { Subscription_Mode } from '@eventmesh/proto-gen/subscriber';
import { eventually } from '@eventmesh/testing';
import { TestSite } from './site.ts';

let site: TestSite;
let leaseId: string;

beforeAll(async () => {
  site = await TestSite.start('west', []);
  const member = { id: 'one', kind: Member_Kind.EMESHER };
  ({ leaseId } = await site.client.join({ member, ttlMs: 60_000n }));
});

afterAll(() => site.remove());

const tenant = 'acme';
const whole = (name: string, createdMs = 1n, topicFilters = ['a/#']) => ({
  ...{ tenant, name, createdMs, topicFilters, mode: Subscription_Mode.BROADCAST },
});
const part = (of: string, consumer: string, wholeCreatedMs = 1n) => ({
  ...{ tenant, name: `${of}:${consumer}`, broadcastOf: of, part: { wholeCreatedMs } },
});
type Given = ReturnType<typeof whole> | ReturnType<typeof part>;

const put = async (subscription: Given & { ephemeral?: boolean }, expectedRevision = -1n) => {
  const lease = subscription.ephemeral === true ? { leaseId } : {};
  const answer = await site.client.putSubscription({ subscription, expectedRevision, ...lease });
  return answer.subscription?.revision ?? 0n;
};
const remove = (name: string) => site.client.deleteSubscription({ tenant, name });
const partsOf = async (name: string): Promise<string[]> => {
  const { subscriptions } = await site.client.listSubscriptions({ tenant, pageSize: 1000 });
  const all = subscriptions.filter(({ broadcastOf }) => broadcastOf === name);
  return all.map((each) => `${each.name.slice(name.length + 1)} of ${each.part?.wholeCreatedMs}`);
};
const wanted = async (): Promise<string[]> => {
  const [own] = (await site.client.getTopology({})).sites;
  return (own?.interest ?? []).map(({ topicFilter }) => topicFilter);
};

describe('a part of a broadcast', () => {
  it('is refused without its whole, and beside another one of that name', async () => {
    const refused = { code: 'NotFound', details: { field: 'name' } };
    await expect(put(part('lone', 'c'))).rejects.toMatchObject(refused);
    await put(whole('lone', 2n));
    await expect(put(part('lone', 'c', 1n))).rejects.toMatchObject(refused);
    await put(part('lone', 'c', 2n));
    expect(await partsOf('lone')).toEqual(['c of 2']);
  });

  it('is made once, and changed by its own revision, whatever becomes of the whole', async () => {
    const made = await put(whole('once'));
    const revision = await put(part('once', 'c'));
    await expect(put(part('once', 'c'))).rejects.toMatchObject({ code: 'Aborted' });
    await put(whole('once', 1n, ['b']), made);
    expect(await put(part('once', 'c'), revision)).toBeGreaterThan(revision);
    await expect(put(part('once', 'c'), revision)).rejects.toMatchObject({ code: 'Aborted' });
  });

  it('has no topic filters of its own, and the interest is that of the whole', async () => {
    const field = 'subscription.topic_filters';
    const made = await put(whole('wants', 1n, ['wants/old']));
    const own = { ...part('wants', 'c'), topicFilters: ['wants/c'] };
    await expect(put(own)).rejects.toMatchObject({ code: 'InvalidArgument', details: { field } });
    await put(part('wants', 'c'));
    await put(whole('wants', 1n, ['wants/new']), made);
    expect(await wanted()).toContain('wants/new');
    expect(await wanted()).not.toContain('wants/c');
  });

  it('goes with its whole', async () => {
    await put(whole('gone'));
    await put(whole('gone-not'));
    for (const consumer of ['c', 'd']) await put(part('gone', consumer));
    await put(part('gone-not', 'c'));
    await remove('gone');
    expect([await partsOf('gone'), await partsOf('gone-not')]).toEqual([[], ['c of 1']]);
  });

  it('that joins while its whole is deleted is refused or goes with it', async () => {
    for (let round = 0; round < 20; round++) {
      await put(whole('race'));
      const joining = ['a', 'b', 'c', 'd'].map((consumer) => put(part('race', consumer)));
      const [deleted, ...joined] = await Promise.allSettled([remove('race'), ...joining]);
      expect(deleted).toMatchObject({ status: 'fulfilled' });
      for (const each of joined.filter(({ status }) => status === 'rejected')) {
        expect(each).toMatchObject({ reason: { code: 'NotFound' } });
      }
      expect(await partsOf('race')).toEqual([]);
    }
  });

  it('goes with its whole when that goes with the lease of its member', async () => {
    const member = { id: 'two', kind: Member_Kind.EMESHER };
    const brief = await site.client.join({ member, ttlMs: 60_000n });
    const subscription = { ...whole('leased'), ephemeral: true };
    await site.client.putSubscription({ subscription, leaseId: brief.leaseId });
    await put({ ...part('leased', 'c'), ephemeral: true });
    await put(part('leased', 'd'));
    await site.client.leave({ leaseId: brief.leaseId });
    await eventually(async () => expect(await partsOf('leased')).toEqual([]));
  });

  it('that an earlier whole has left gives way to one of the same name', async () => {
    await put(whole('left'));
    for (const consumer of ['c', 'd']) await put(part('left', consumer));
    // Written over it: what is left stays until somebody meets it.
    await put(whole('left', 2n), 0n);
    expect(await partsOf('left')).toEqual(['c of 1', 'd of 1']);
    await put(part('left', 'c', 2n));
    expect(await partsOf('left')).toEqual(['c of 2', 'd of 1']);
    await remove('left');
    expect(await partsOf('left')).toEqual([]);
  });
});

describe('an ephemeral subscription that another member changes', () => {
  it('stays on the lease of the member that made it', async () => {
    const [maker, other] = await Promise.all(
      ['maker', 'other'].map((id) =>
        site.client.join({ member: { id, kind: Member_Kind.EMESHER }, ttlMs: 60_000n }),
      ),
    );
    const subscription = { ...whole('brief'), ephemeral: true };
    const made = await site.client.putSubscription({ subscription, leaseId: maker?.leaseId ?? '' });
    const expectedRevision = made.subscription?.revision ?? 0n;
    const changed = { ...subscription, paused: true };
    await site.client.putSubscription({
      subscription: changed,
      expectedRevision,
      leaseId: other?.leaseId ?? '',
    });
    await site.client.leave({ leaseId: other?.leaseId ?? '' });
    const read = () => site.client.getSubscription({ tenant, name: 'brief' });
    expect((await read()).subscription?.paused).toBe(true);
    await site.client.leave({ leaseId: maker?.leaseId ?? '' });
    await expect(read()).rejects.toMatchObject({ code: 'NotFound' });
  });
});
