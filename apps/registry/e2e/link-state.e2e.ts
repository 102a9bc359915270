import { afterEach, describe, expect, it } from '@jest/globals';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { GetTopologyResponse } from '@eventmesh/proto-gen/registry';
import { eventually, startProxy, type FaultProxy } from '@eventmesh/testing';
import { TestSite, nextHop } from './site.ts';

const open: { close?(): Promise<void>; remove?(): Promise<void> }[] = [];

afterEach(async () => {
  for (const part of open.splice(0).reverse()) await (part.remove?.() ?? part.close?.());
});

const started = async (...args: Parameters<typeof TestSite.start>): Promise<TestSite> => {
  const site = await TestSite.start(...args);
  open.push(site);
  return site;
};

const subscription = (name: string, ...topicFilters: string[]) => ({
  subscription: { name, tenant: 'acme', topicFilters, deliveryClass: DeliveryClass.DURABLE },
});

const filtersOf = (topology: GetTopologyResponse, site: string): string[] =>
  topology.sites.find((s) => s.site === site)?.interest.map((i) => i.topicFilter) ?? [];

/** west – mid – east; mid calls west, east calls mid through a cable. */
async function line(): Promise<{
  west: TestSite;
  mid: TestSite;
  east: TestSite;
  cable: FaultProxy;
}> {
  const west = await started('west', [{ site: 'mid' }]);
  const mid = await started('mid', [{ site: 'west', address: west.address }, { site: 'east' }]);
  const cable = await startProxy(mid);
  open.push(cable);
  const east = await started('east', [{ site: 'mid', address: `127.0.0.1:${cable.port}` }]);
  return { west, mid, east, cable };
}

describe('three sites in a line', () => {
  it('interest reaches the far end, routes lead through the middle, convergence is answered', async () => {
    const { west, east } = await line();
    const seen = await east.topology((t) => nextHop(t, 'west') === 'mid');
    expect(seen.routes).toMatchObject([
      { destination: 'mid', nextHop: 'mid', cost: 1 },
      { destination: 'west', nextHop: 'mid', cost: 2 },
    ]);
    expect(seen.neighboursDown).toEqual([]);
    const { interestVersion } = await west.client.putSubscription(subscription('s', 'a/#', 'a/b'));
    const answer = await west.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(answer).toMatchObject({ convergedSites: ['east', 'mid'], unreachableSites: [] });
    expect(filtersOf(await east.client.getTopology({}), 'west')).toEqual(['a/#']);
    await west.client.deleteSubscription({ tenant: 'acme', name: 's' });
    await east.topology((t) => filtersOf(t, 'west').length === 0);
  });

  it('a cut link takes the route and names the site; joined again all is back', async () => {
    const { west, east, cable } = await line();
    await west.topology((t) => nextHop(t, 'east') === 'mid');
    cable.cut();
    const cutOff = await west.topology((t) => nextHop(t, 'east') === undefined);
    expect(nextHop(cutOff, 'mid')).toBe('mid');
    expect(cutOff.sites.map(({ site }) => site)).toEqual(['east', 'mid', 'west']);
    const lonely = await east.topology((t) => nextHop(t, 'mid') === undefined);
    expect(lonely.neighboursDown).toEqual(['mid']);
    const { interestVersion } = await west.client.putSubscription(subscription('s', 'late/+'));
    const answer = await west.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(answer).toMatchObject({ convergedSites: ['mid'], unreachableSites: ['east'] });
    cable.heal();
    await west.topology((t) => nextHop(t, 'east') === 'mid');
    const healed = await west.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(healed.convergedSites).toEqual(['east', 'mid']);
    expect(filtersOf(await east.client.getTopology({}), 'west')).toEqual(['late/+']);
  });

  it('a link that is dead but not closed goes down by its silence', async () => {
    const { west, cable } = await line();
    await west.topology((t) => nextHop(t, 'east') === 'mid');
    cable.stallOneWay('to-target');
    await west.topology((t) => nextHop(t, 'east') === undefined);
    cable.heal();
    await west.topology((t) => nextHop(t, 'east') === 'mid');
  });

  it('replicas share what each hears: one talks to the west, the other to the east', async () => {
    const west = await started('west', [{ site: 'mid' }]);
    const mid = await started('mid', [{ site: 'west', address: west.address }, { site: 'east' }]);
    const other = await mid.replica(0, [{ site: 'west' }, { site: 'east' }]);
    const east = await started('east', [{ site: 'mid', address: `127.0.0.1:${other.port}` }]);
    await west.topology((t) => nextHop(t, 'east') === 'mid');
    const { interestVersion } = await east.client.putSubscription(subscription('s', 'far'));
    const answer = await east.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(answer.convergedSites).toEqual(['mid', 'west']);
    expect((await mid.client.getTopology({})).neighboursDown).toEqual([]);
    await other.stop();
    await west.topology((t) => nextHop(t, 'east') === undefined && nextHop(t, 'mid') === 'mid');
  });

  it('a registry that restarts knows the graph at once and goes on with its epoch', async () => {
    const { west, mid, east } = await line();
    await west.client.putSubscription(subscription('s', 'kept'));
    const before = await mid.topology(
      (t) => filtersOf(t, 'west').length === 1 && nextHop(t, 'east') === 'east',
    );
    await mid.down();
    await mid.up();
    const atOnce = await mid.client.getTopology({});
    expect(filtersOf(atOnce, 'west')).toEqual(['kept']);
    const own = (t: GetTopologyResponse) => t.sites.find((s) => s.site === 'mid');
    expect(own(atOnce)?.epoch).toBe(own(before)?.epoch);
    expect(own(atOnce)?.sequence).toBeGreaterThanOrEqual(own(before)?.sequence ?? 0n);
    await east.topology((t) => nextHop(t, 'west') === 'mid');
    const after = await mid.client.getTopology({});
    expect(own(after)?.epoch).toBe(own(before)?.epoch);
    expect(own(after)?.interestVersion).toBe(own(before)?.interestVersion);
  });

  it('a site whose control state is lost comes back with a higher epoch', async () => {
    const { west, mid } = await line();
    await west.client.putSubscription(subscription('s', 'old'));
    const before = await mid.topology((t) => filtersOf(t, 'west').length === 1);
    const epochOf = (t: GetTopologyResponse) => t.sites.find((s) => s.site === 'west')?.epoch ?? 0n;
    const { entries } = await west.kv.range('registry/');
    await west.down();
    await west.up();
    for (const { key } of entries) await west.kv.delete(key);
    await west.down();
    await west.up();
    await west.client.putSubscription(subscription('s', 'new'));
    const after = await mid.topology((t) => filtersOf(t, 'west')[0] === 'new');
    expect(epochOf(after)).toBeGreaterThan(epochOf(before));
  });
});

describe('three sites in a triangle', () => {
  it('go round a link that is down, and back', async () => {
    const west = await started('west', [{ site: 'mid' }, { site: 'east' }]);
    const mid = await started('mid', [{ site: 'west', address: west.address }, { site: 'east' }]);
    const cable = await startProxy(west);
    open.push(cable);
    const east = await started('east', [
      { site: 'mid', address: mid.address },
      { site: 'west', address: `127.0.0.1:${cable.port}` },
    ]);
    await west.topology((t) => nextHop(t, 'east') === 'east' && nextHop(t, 'mid') === 'mid');
    cable.cut();
    await west.topology((t) => nextHop(t, 'east') === 'mid');
    await east.topology((t) => nextHop(t, 'west') === 'mid');
    const { interestVersion } = await east.client.putSubscription(subscription('s', 'x'));
    const answer = await east.client.awaitConvergence({ interestVersion, timeoutMs: 10_000n });
    expect(answer.convergedSites).toEqual(['mid', 'west']);
    cable.heal();
    await west.topology((t) => nextHop(t, 'east') === 'east');
  });
});

describe('strangers', () => {
  it('a wrong link token, an unknown site and a wrong address are refused and counted', async () => {
    const west = await started('west', [{ site: 'mid' }]);
    const wrongToken = { linkToken: { value: 'another' } };
    await started('mid', [{ site: 'west', address: west.address }], wrongToken);
    await started('east', [{ site: 'west', address: west.address }]);
    await started('north', [{ site: 'mid', address: west.address }]);
    const refused = async (neighbour: string) =>
      west.metrics.value('eventmesh_registry_exchanges_total', {
        neighbour,
        direction: 'in',
        outcome: 'refused',
      });
    await eventually(async () => expect(await refused('unknown')).toBeGreaterThanOrEqual(2));
    expect(await refused('mid')).toBe(0);
    expect((await west.client.getTopology({})).sites.map(({ site }) => site)).toEqual(['west']);
    expect((await west.client.getTopology({})).neighboursDown).toEqual(['mid']);
  });
});
