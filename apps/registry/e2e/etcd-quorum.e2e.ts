import { afterEach, describe, expect, it } from '@jest/globals';
import { loadConfig } from '@eventmesh/config';
import { openKv } from '@eventmesh/kv-open';
import { Member_Kind } from '@eventmesh/proto-gen/registry';
import { etcdLeader, eventually, startEtcdCluster, tempDir } from '@eventmesh/testing';
import { registryConfig } from '../src/index.ts';
import { TestSite } from './site.ts';

/** From the death of a member until writes are taken again. */
const GAP = { timeoutMs: 30_000 };
const LEASE_MS = 60_000n;

const closing: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A site on three etcds, whose replicas follow the same state. */
async function started() {
  const dir = tempDir('registry-quorum');
  closing.push(() => dir.remove());
  const etcds = await startEtcdCluster({ dir: dir.path, heartbeatMs: 50, electionMs: 500 });
  closing.push(() => Promise.all(etcds.map((etcd) => etcd.stop())));
  const { kv } = loadConfig(registryConfig, {
    value: { site: 'mid', kv: { kind: 'etcd', etcd: { hosts: etcds.map(({ url }) => url) } } },
  });
  const site = await TestSite.start('mid', [], {}, () => openKv(kv));
  closing.push(() => site.remove());
  const other = await site.replica(0, []);
  return { etcds, site, other };
}

const subscription = (name: string) => ({
  subscription: { name, tenant: 'acme', topicFilters: [`${name}/#`] },
});

describe('the registry on three etcds', () => {
  it('goes on when a follower is killed, and when the leader is: watches resume without a gap, leases live', async () => {
    const { etcds, site, other } = await started();
    const { leaseId } = await site.client.join({
      member: { id: 'emesher', kind: Member_Kind.EMESHER },
      ttlMs: LEASE_MS,
    });
    const owned = { name: 'link/west', memberId: 'emesher', leaseId };
    expect(await site.client.acquire(owned)).toMatchObject({ epoch: 1n });
    const seen = watched(site.client);

    const leader = await etcdLeader(etcds);
    const follower = etcds.find((etcd) => etcd !== leader);
    const names = ['before'];
    await other.client.putSubscription(subscription('before'));
    const all = () => eventually(() => expect([...seen].sort()).toEqual([...names].sort()), GAP);
    await all();

    // No call has to fail for a member that nobody needs.
    await follower?.kill();
    for (let n = 0; n < 12; n++) {
      names.push(`without-follower-${n}`);
      await other.client.putSubscription(subscription(`without-follower-${n}`));
    }
    await all();
    await follower?.restart();

    await leader.kill();
    names.push('without-leader');
    // A write whose outcome is not known is made again: it is the same subscription.
    await eventually(() => other.client.putSubscription(subscription('without-leader')), GAP);
    await all();
    expect(await etcdLeader(etcds.filter((etcd) => etcd !== leader))).not.toBe(leader);
    expect(await eventually(() => other.client.keepAlive({ leaseId }), GAP)).toMatchObject({
      ttlMs: LEASE_MS,
    });
    expect(await other.client.getOwner({ name: 'link/west' })).toMatchObject({
      owner: { id: 'emesher' },
      epoch: 1n,
    });
    expect(await eventually(() => site.client.acquire(owned), GAP)).toMatchObject({ epoch: 1n });
  }, 90_000);

  it('says unavailable without a majority, answers what it knows, and takes writes when there is one again', async () => {
    const { etcds, site, other } = await started();
    await other.client.putSubscription(subscription('before'));
    const seen = watched(site.client);
    await eventually(() => expect([...seen]).toEqual(['before']), GAP);
    const [one, two] = etcds;
    await Promise.all([one?.kill(), two?.kill()]);
    await Promise.all(
      [site.client, other.client].map((client) =>
        expect(client.putSubscription(subscription('lost'))).rejects.toMatchObject({
          code: expect.stringMatching(/^(Unavailable|DeadlineExceeded)$/),
          retryable: true,
        }),
      ),
    );
    expect((await site.client.getTopology({})).site).toBe('mid');
    await Promise.all([one?.restart(), two?.restart()]);
    await eventually(() => other.client.putSubscription(subscription('after')), GAP);
    // What was told as unavailable may have been taken; nothing else is there.
    await eventually(() => expect(seen.has('after')).toBe(true), GAP);
    expect([...seen].filter((name) => !['before', 'lost', 'after'].includes(name))).toEqual([]);
  }, 90_000);
});

/** The names of subscriptions that one watch has told so far, over whatever becomes of etcd. */
function watched(client: TestSite['client']): Set<string> {
  const seen = new Set<string>();
  const stop = new AbortController();
  closing.push(() => stop.abort());
  void (async () => {
    for await (const { change } of client.watch({}, { signal: stop.signal })) {
      if (change.case === 'snapshot') {
        for (const { name } of change.value.subscriptions) seen.add(name);
      } else if (change.case === 'subscription') {
        seen.add(change.value.name);
      }
    }
  })().catch(() => undefined);
  return seen;
}
