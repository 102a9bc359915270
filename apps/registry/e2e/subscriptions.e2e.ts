import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Member_Kind, type WatchResponse } from '@eventmesh/proto-gen/registry';
import { eventually } from '@eventmesh/testing';
import { TestSite } from './site.ts';

let site: TestSite;

beforeAll(async () => {
  site = await TestSite.start('west', []);
});

afterAll(() => site.remove());

const subscription = (name: string, topicFilters: string[] = ['a/#'], tenant = 'acme') => ({
  name,
  tenant,
  topicFilters,
});

/** Reads a watch until `enough` says so; returns all it saw. */
async function watched(
  afterRevision: bigint,
  enough: (seen: readonly WatchResponse[]) => boolean,
  client = site.client,
): Promise<WatchResponse[]> {
  const stop = new AbortController();
  const seen: WatchResponse[] = [];
  try {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]);
    for await (const change of client.watch({ afterRevision }, { signal })) {
      seen.push(change);
      if (enough(seen)) break;
    }
  } finally {
    stop.abort();
  }
  return seen;
}

const names = (seen: readonly WatchResponse[]): string[] =>
  seen.flatMap(({ change }) =>
    change.case === 'subscription'
      ? [`+${change.value.name}`]
      : change.case === 'subscriptionDeleted'
        ? [`-${change.value.name}`]
        : [],
  );

describe('subscriptions', () => {
  it('are created, replaced by revision, read, paged and deleted', async () => {
    const put = (name: string, expectedRevision: bigint) =>
      site.client.putSubscription({ subscription: subscription(name), expectedRevision });
    const { subscription: created } = await put('crud-1', -1n);
    expect(created).toMatchObject({ site: 'west', name: 'crud-1' });
    expect(created?.createdMs).toBeGreaterThan(0n);
    await expect(put('crud-1', -1n)).rejects.toMatchObject({ code: 'Aborted' });
    const { subscription: replaced } = await put('crud-1', created?.revision ?? 0n);
    expect(replaced?.revision).toBeGreaterThan(created?.revision ?? 0n);
    await expect(put('crud-1', created?.revision ?? 0n)).rejects.toMatchObject({ code: 'Aborted' });
    const read = await site.client.getSubscription({ tenant: 'acme', name: 'crud-1' });
    expect(read.subscription?.revision).toBe(replaced?.revision);

    await put('crud-2', 0n);
    await put('crud-3', 0n);
    const first = await site.client.listSubscriptions({ tenant: 'acme', pageSize: 2 });
    const rest = await site.client.listSubscriptions({
      tenant: 'acme',
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    const all = [...first.subscriptions, ...rest.subscriptions].map(({ name }) => name);
    expect(all).toEqual(['crud-1', 'crud-2', 'crud-3']);
    expect(rest.nextPageToken).toBe('');
    await expect(
      site.client.listSubscriptions({ tenant: 'other', pageToken: first.nextPageToken }),
    ).rejects.toMatchObject({ code: 'InvalidArgument', details: { field: 'page_token' } });
    for (const name of all) await site.client.deleteSubscription({ tenant: 'acme', name });
    await expect(
      site.client.deleteSubscription({ tenant: 'acme', name: 'crud-1' }),
    ).rejects.toMatchObject({ code: 'NotFound' });
    await expect(
      site.client.getSubscription({ tenant: 'acme', name: 'crud-1' }),
    ).rejects.toMatchObject({ code: 'NotFound' });
  });

  it.each([
    ['name', { ...subscription('a b') }, 'subscription.name'],
    ['tenant', { ...subscription('x', ['a'], 'a/b') }, 'subscription.tenant'],
    ['no filter', { ...subscription('x', []) }, 'subscription.topic_filters'],
    ['a bad filter', { ...subscription('x', ['a', 'a/#/b']) }, 'subscription.topic_filters[1]'],
    [
      'acknowledgement time',
      { ...subscription('x'), ackTimeoutMs: 1n },
      'subscription.ack_timeout_ms',
    ],
    ['ephemeral without lease', { ...subscription('x'), ephemeral: true }, 'lease_id'],
  ])('a wrong %s is refused and named', async (_, given, field) => {
    await expect(site.client.putSubscription({ subscription: given })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });

  it('the acknowledged interest version covers the subscription and only rises', async () => {
    const interest = async () => {
      const [own] = (await site.client.getTopology({})).sites;
      return {
        version: own?.interestVersion ?? 0n,
        filters: own?.interest.map((i) => i.topicFilter),
      };
    };
    let last = (await interest()).version;
    for (const filter of ['v/1', 'v/2', 'v/#', 'v/3']) {
      const { interestVersion } = await site.client.putSubscription({
        subscription: subscription(`v-${filter.slice(2).replace('#', 'all')}`, [filter]),
      });
      const now = await interest();
      expect(interestVersion).toBeGreaterThanOrEqual(last);
      expect(now.version).toBe(interestVersion);
      expect(now.filters?.some((f) => f === filter || f === 'v/#')).toBe(true);
      last = interestVersion;
    }
    // v/# covers v/3, so that the last one changed nothing.
    expect((await interest()).filters).toContain('v/#');
    expect((await interest()).filters).not.toContain('v/3');
  });

  it('an ephemeral subscription vanishes with its member, its interest after the linger', async () => {
    const { leaseId } = await site.client.join({
      member: { id: 'leaver', kind: Member_Kind.EMESHER },
      ttlMs: 60_000n,
    });
    await site.client.putSubscription({
      subscription: { ...subscription('brief', ['brief/+']), ephemeral: true },
      leaseId,
    });
    const wants = (filters: readonly { topicFilter: string }[] = []) =>
      filters.some(({ topicFilter }) => topicFilter === 'brief/+');
    const gone = watched(0n, (seen) => names(seen).includes('-brief'));
    expect(wants((await site.client.getTopology({})).sites[0]?.interest)).toBe(true);
    await site.client.leave({ leaseId });
    await gone;
    await eventually(async () => {
      const { sites } = await site.client.getTopology({});
      expect(wants(sites[0]?.interest)).toBe(false);
    });
  });
});

describe('watch', () => {
  it('begins with a snapshot and goes on with each change', async () => {
    const seen = watched(0n, (all) => names(all).length === 2);
    await site.client.listMembers({});
    await site.client.putSubscription({ subscription: subscription('w-1') });
    await site.client.deleteSubscription({ tenant: 'acme', name: 'w-1' });
    const all = await seen;
    expect(all[0]?.change.case).toBe('snapshot');
    const revisions = all.map(({ revision }) => revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => Number(a - b)));
  });

  it('resumes after a revision without a snapshot and misses nothing, on another replica too', async () => {
    const [start] = await watched(0n, (all) => all.length === 1);
    const after = start?.revision ?? 0n;
    // A replica that starts now has no history from before.
    const other = await site.replica();
    await site.client.putSubscription({ subscription: subscription('r-1') });
    await site.client.putSubscription({ subscription: subscription('r-2') });
    await site.client.deleteSubscription({ tenant: 'acme', name: 'r-1' });
    for (const client of [site.client, other.client]) {
      const seen = await watched(after, (all) => names(all).length === 3, client);
      expect(seen.map(({ change }) => change.case)).not.toContain('snapshot');
      expect(names(seen)).toEqual(['+r-1', '+r-2', '-r-1']);
    }
    await other.stop();
  });

  it('sends a snapshot anew when the revision is from before its history', async () => {
    const [start] = await watched(0n, (all) => all.length === 1);
    await site.client.putSubscription({ subscription: subscription('s-1') });
    await site.down();
    await site.up();
    const [first] = await watched(start?.revision ?? 0n, (all) => all.length === 1);
    expect(first?.change.case).toBe('snapshot');
  });

  it('refuses a call without the service token when one is set', async () => {
    const guarded = await TestSite.start('guarded', [], { serviceToken: { value: 'right' } });
    try {
      const call = (authorization?: string) =>
        guarded.client.listMembers(
          {},
          authorization === undefined ? {} : { metadata: { authorization } },
        );
      await expect(call()).rejects.toMatchObject({ code: 'Unauthenticated' });
      await expect(call('Bearer wrong')).rejects.toMatchObject({ code: 'Unauthenticated' });
      expect(await call('Bearer right')).toMatchObject({ members: [] });
    } finally {
      await guarded.remove();
    }
  });
});
