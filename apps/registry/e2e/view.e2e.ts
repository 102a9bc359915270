import { afterEach, describe, expect, it } from '@jest/globals';
import { RegistryView, type RegistryChange } from '@eventmesh/clients';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { Member_Kind, RegistryService } from '@eventmesh/proto-gen/registry';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { createLogger } from '@eventmesh/telemetry';
import { TestSite } from './site.ts';

const { DURABLE, DIRECT } = DeliveryClass;
const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function started(...args: Parameters<typeof TestSite.start>): Promise<TestSite> {
  const site = await TestSite.start(...args);
  closing.push(() => site.remove());
  return site;
}

function overGrpc(site: TestSite) {
  const transport = grpcTransport({ address: site.address });
  return { client: createClient(RegistryService, transport), close: () => transport.close() };
}

async function joined(
  site: TestSite,
  id: string,
  ttlMs = 5000,
  { client, close } = overGrpc(site),
): Promise<RegistryView> {
  const view = new RegistryView({
    client,
    member: { id, kind: Member_Kind.EMESHER, httpAddress: `${id}.example:80` },
    ttlMs,
    reconnectMaxMs: 200,
    log: createLogger({ level: 'silent', service: 'test' }),
  });
  closing.push(async () => {
    await view.close();
    close();
  });
  await view.ready;
  return view;
}

/** Resolves when the view is as wanted, looked at after each of its changes. */
function until(view: RegistryView, wanted: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      stop();
      reject(new Error('the view did not get there'));
    }, 15_000);
    const check = () => {
      if (!wanted()) return;
      clearTimeout(late);
      stop();
      resolve();
    };
    const stop = view.onChange(check);
    check();
  });
}

describe('the view of the registry', () => {
  it('sees subscriptions, members, remote interest and routes as they change', async () => {
    const west = await started('west', [{ site: 'east' }]);
    const east = await started('east', [{ site: 'west', address: west.address }]);
    const a = await joined(west, 'emesher-a');
    const b = await joined(west, 'emesher-b');
    const changes: RegistryChange['type'][] = [];
    a.onChange(({ type }) => changes.push(type));
    await until(a, () => a.members.has('emesher-b') && a.nextHop('east') === 'east');
    await b.putSubscription({ name: 's', tenant: 'acme', topicFilters: ['x'] });
    await until(a, () => a.subscriptions.get('acme/s')?.topicFilters[0] === 'x');

    expect(a.destinationsFor('acme', 'y/1', DURABLE)).toEqual([]);
    const { interestVersion } = await east.client.putSubscription({
      subscription: { name: 'e', tenant: 'acme', topicFilters: ['y/+'] },
    });
    const answer = await east.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(answer.convergedSites).toEqual(['west']);
    // That is what convergence promises: no emesher there routes by less.
    for (const view of [a, b]) {
      expect(view.destinationsFor('acme', 'y/1', DURABLE)).toEqual(['east']);
      expect(view.destinationsFor('acme', 'y/1', DIRECT)).toEqual([]);
      expect(view.destinationsFor('other', 'y/1', DURABLE)).toEqual([]);
    }
    await b.deleteSubscription('acme', 's');
    await until(a, () => !a.subscriptions.has('acme/s'));
    await b.close();
    await until(a, () => !a.members.has('emesher-b'));
    expect(new Set(changes)).toEqual(new Set(['member', 'subscription', 'routing']));
    const topology = await a.topology();
    expect(topology.sites.find(({ site }) => site === 'west')?.httpAddress).toBe(
      'emesher-a.example:80',
    );
  });

  it('works the same in one process with the registry', async () => {
    const west = await started('west', []);
    const view = await joined(west, 'emesher-a', 5000, west.local());
    const remote = await joined(west, 'emesher-b');
    await view.putSubscription({ name: 's', tenant: 'acme', topicFilters: ['x'], ephemeral: true });
    await until(remote, () => remote.subscriptions.has('acme/s'));
    expect(await view.acquire('name')).toBe(1n);
    await expect(remote.acquire('name')).rejects.toMatchObject({ code: 'Aborted' });
    expect((await remote.owner('name')).owner?.id).toBe('emesher-a');
    await view.close();
    await until(remote, () => !remote.subscriptions.has('acme/s'));
    expect(await remote.acquire('name')).toBe(2n);
  });

  it('a site whose emesher does not take the interest in has not converged', async () => {
    const west = await started('west', [{ site: 'east' }]);
    const east = await started('east', [{ site: 'west', address: west.address }]);
    await west.topology((t) => t.routes.length === 1);
    // A member that is alive and says nothing of the tables it routes by.
    const { leaseId } = await west.client.join({
      member: { id: 'mute', kind: Member_Kind.EMESHER },
      ttlMs: 60_000n,
    });
    const { interestVersion } = await east.client.putSubscription({
      subscription: { name: 'e', tenant: 'acme', topicFilters: ['y'] },
    });
    const mute = await east.client.awaitConvergence({ interestVersion, timeoutMs: 300n });
    expect(mute).toMatchObject({ convergedSites: [], unreachableSites: ['west'] });
    await west.client.leave({ leaseId });
    const gone = await east.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(gone.convergedSites).toEqual(['west']);
  });

  it('keeps the last state while the registry is away, refuses changes, and resumes', async () => {
    const west = await started('west', [{ site: 'east' }]);
    const east = await started('east', [{ site: 'west', address: west.address }]);
    const view = await joined(west, 'emesher-a', 60_000);
    await east.client.putSubscription({
      subscription: { name: 'e', tenant: 'acme', topicFilters: ['y'] },
    });
    await view.putSubscription({ name: 's', tenant: 'acme', topicFilters: ['x'] });
    expect(await view.acquire('subscription/acme/s')).toBe(1n);
    await until(view, () => view.subscriptions.size === 1 && view.nextHop('east') === 'east');
    await until(view, () => view.destinationsFor('acme', 'y', DURABLE).length === 1);
    await west.down();
    await until(view, () => !view.connected);
    expect(view.subscriptions.has('acme/s')).toBe(true);
    expect(view.destinationsFor('acme', 'y', DURABLE)).toEqual(['east']);
    expect(view.nextHop('east')).toBe('east');
    await expect(
      view.putSubscription({ name: 't', tenant: 'acme', topicFilters: ['x'] }),
    ).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(view.acquire('more')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(view.ageMs).toBeGreaterThanOrEqual(0);
    await west.up();
    await until(view, () => view.connected);
    expect(view.leaseState).toBe('held');
    expect(await view.acquire('subscription/acme/s')).toBe(1n);
    await view.putSubscription({ name: 't', tenant: 'acme', topicFilters: ['x'] });
    await until(view, () => view.subscriptions.size === 2);
  });

  it('keeps a member whose lease ended while the registry was away, and lets one go that stays away', async () => {
    const west = await started('west', []);
    const view = await joined(west, 'emesher-a');
    const back = await west.client.join({
      member: { id: 'back', kind: Member_Kind.EMESHER },
      ttlMs: 60_000n,
    });
    const gone = await west.client.join({
      member: { id: 'gone', kind: Member_Kind.EMESHER },
      ttlMs: 60_000n,
    });
    await until(view, () => view.members.has('back') && view.members.has('gone'));
    const left: string[] = [];
    view.onChange((change) => {
      if (change.type === 'member' && change.current === undefined) left.push(change.id);
    });
    await west.down();
    await until(view, () => !view.connected);
    await west.upAfter(async (kv) => {
      for (const { leaseId } of [back, gone]) await kv.lease(leaseId, 60_000).revoke();
    });
    await until(view, () => view.connected);
    await west.client.join({ member: { id: 'back', kind: Member_Kind.EMESHER }, ttlMs: 60_000n });
    await until(view, () => left.length > 0);
    expect(left).toEqual(['gone']);
    expect([...view.members.keys()].sort()).toEqual(['back', 'emesher-a']);
  });

  it('goes on with what it owned under a new lease when nobody owned it in between', async () => {
    const west = await started('west', []);
    const view = await joined(west, 'emesher-a', 1000);
    expect(await view.acquire('name')).toBe(1n);
    const lost = view.leaseId;
    await west.client.leave({ leaseId: lost });
    await until(view, () => view.leaseState === 'held' && view.leaseId !== lost);
    expect(await view.acquire('name', 1n)).toBe(1n);
    await expect(view.acquire('other', 1n)).rejects.toMatchObject({
      code: 'Aborted',
      reason: 'EPOCH_ENDED',
    });
  });

  it('joins anew when its lease was lost, and gets higher epochs then', async () => {
    const west = await started('west', []);
    const view = await joined(west, 'emesher-a', 1000);
    expect(await view.acquire('name')).toBe(1n);
    const lost = view.leaseId;
    const states: string[] = [];
    view.onChange((change) => {
      if (change.type === 'lease') states.push(change.state);
    });
    await west.client.leave({ leaseId: lost });
    await until(view, () => states.includes('lost') && view.leaseState === 'held');
    expect(view.leaseId).not.toBe(lost);
    expect(await view.acquire('name')).toBe(2n);
  });

  it('says that its lease is unconfirmed once its time has passed without the registry', async () => {
    const west = await started('west', []);
    const view = await joined(west, 'emesher-a', 1000);
    await west.down();
    await until(view, () => view.leaseState === 'unconfirmed');
    await west.up();
    await until(view, () => view.leaseState === 'held');
  });
});
