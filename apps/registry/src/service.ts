import { subscriptionOwned } from '@eventmesh/clients';
import type { RegistryService } from '@eventmesh/proto-gen/registry';
import type { ServiceImpl } from '@eventmesh/rpc';
import type { Convergence } from './convergence.ts';
import type { Members } from './members.ts';
import type { Ownership } from './ownership.ts';
import type { Parts } from './parts.ts';
import type { Peers } from './peers.ts';
import type { Routing } from './routing.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { WatchHub } from './watch-hub.ts';

export interface RegistryParts {
  readonly parts: Parts;
  readonly members: Members;
  readonly subscriptions: Subscriptions;
  readonly ownership: Ownership;
  readonly routing: Routing;
  readonly convergence: Convergence;
  readonly peers: Peers;
  readonly hub: WatchHub;
}

/** The wire side of the registry: each call is one call of a part. */
export function registryService(of: RegistryParts): ServiceImpl<typeof RegistryService> {
  const { parts, members, subscriptions, ownership, routing, convergence, peers, hub } = of;
  return {
    async join({ member, ttlMs }) {
      const { leaseId, ttlMs: granted } = await members.join(member, ttlMs);
      return { leaseId, ttlMs: BigInt(granted) };
    },
    async keepAlive({ leaseId, routingVersion }) {
      return { ttlMs: BigInt(await members.keepAlive(leaseId, routingVersion)) };
    },
    async leave({ leaseId }) {
      await members.leave(leaseId);
      return {};
    },
    async listMembers() {
      return { members: members.list() };
    },
    putSubscription: ({ subscription, expectedRevision, leaseId }, ctx) =>
      subscriptions.put(subscription, expectedRevision, leaseId, ctx.signal),
    async getSubscription({ tenant, name }) {
      return { subscription: await subscriptions.get(tenant, name) };
    },
    listSubscriptions: ({ tenant, pageSize, pageToken }) =>
      subscriptions.list(tenant, pageSize, pageToken),
    async deleteSubscription({ tenant, name }) {
      await ownership.endWith(subscriptionOwned({ tenant, name }), () =>
        subscriptions.delete(tenant, name),
      );
      return {};
    },
    async acquire({ name, memberId, leaseId, resumeEpoch }) {
      const epoch = await ownership.acquire(name, memberId, leaseId, Number(resumeEpoch));
      return { epoch: BigInt(epoch) };
    },
    async release({ name, leaseId }) {
      await ownership.release(name, leaseId);
      return {};
    },
    async getOwner({ name }) {
      const { owner, epoch } = await ownership.owner(name);
      return { epoch: BigInt(epoch), ...(owner === undefined ? {} : { owner }) };
    },
    watch: ({ afterRevision }, ctx) => hub.watch(afterRevision, ctx),
    async getTopology() {
      const advertisements = [...parts.state.maps.advertisements.values()];
      return {
        site: parts.site,
        sites: advertisements.map(({ value }) => value).sort((a, b) => (a.site < b.site ? -1 : 1)),
        routes: [...routing.routes],
        neighboursDown: peers.down,
      };
    },
    awaitConvergence: ({ interestVersion, timeoutMs }, ctx) =>
      convergence.wait(interestVersion, timeoutMs, [ctx.signal, ctx.draining]),
  };
}
