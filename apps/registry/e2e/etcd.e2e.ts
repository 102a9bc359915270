import { afterEach, describe, expect, it } from '@jest/globals';
import { Member_Kind } from '@eventmesh/proto-gen/registry';
import { eventually, startEtcd, tempDir } from '@eventmesh/testing';
import { loadConfig } from '@eventmesh/config';
import { openKv } from '@eventmesh/kv-open';
import { registryConfig } from '../src/index.ts';
import { TestSite, nextHop } from './site.ts';

const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe('replicas on a real etcd', () => {
  it('serve one site, and go on after etcd was killed and came back', async () => {
    const dir = tempDir('registry-etcd');
    closing.push(() => dir.remove());
    const etcd = await startEtcd({ dir: dir.path, heartbeatMs: 20, electionMs: 200 });
    closing.push(() => etcd.stop());
    const { kv } = loadConfig(registryConfig, {
      value: { site: 'mid', kv: { kind: 'etcd', etcd: { hosts: [etcd.url] } } },
    });
    const started = async (...args: Parameters<typeof TestSite.start>) => {
      const site = await TestSite.start(...args);
      closing.push(() => site.remove());
      return site;
    };
    const west = await started('west', [{ site: 'mid' }]);
    const mid = await started('mid', [{ site: 'west', address: west.address }], {}, () =>
      openKv(kv),
    );
    const other = await mid.replica(0, []);
    await west.topology((t) => nextHop(t, 'mid') === 'mid');

    const { leaseId } = await mid.client.join({
      member: { id: 'emesher', kind: Member_Kind.GOVERNANCE },
      ttlMs: 60_000n,
    });
    expect(await other.client.keepAlive({ leaseId })).toMatchObject({ ttlMs: 60_000n });
    const owned = { name: 'link/west', memberId: 'emesher', leaseId };
    expect(await other.client.acquire(owned)).toMatchObject({ epoch: 1n });

    const put = (name: string) =>
      other.client.putSubscription({
        subscription: { name, tenant: 'acme', topicFilters: [`${name}/#`] },
      });
    const first = await put('before');
    const converged = async (interestVersion: bigint) =>
      (await mid.client.awaitConvergence({ interestVersion, timeoutMs: 15_000n })).convergedSites;
    expect(await converged(first.interestVersion)).toEqual(['west']);

    await etcd.restart();
    // It may not have been dialled again yet, and then the put says so.
    const second = await eventually(() => put('after'));
    expect(second.interestVersion).toBeGreaterThan(first.interestVersion);
    await west.topology((t) => t.sites.find(({ site }) => site === 'mid')?.interest.length === 2);
    expect(await mid.client.acquire(owned)).toMatchObject({ epoch: 1n });
    expect(await mid.client.keepAlive({ leaseId })).toMatchObject({ ttlMs: 60_000n });
    await mid.client.leave({ leaseId });
    expect(await other.client.getOwner({ name: 'link/west' })).toMatchObject({ epoch: 1n });
    await other.stop();
  });
});
