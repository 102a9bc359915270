import { DirectSwitch, type DirectDeps } from '../publish/direct.ts';
import { Publisher } from '../publish/publisher.ts';
import { Resolver } from '../publish/resolve.ts';
import { makeInboxes } from '../request/make-requests.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

/** Adapter → admit → resolve → append → receipt; and the direct class, which skips the store. */
export function publishPath(base: Base, forward: DirectDeps['forward'], timers: () => Timers) {
  const { options, deps, logs, directory, ledger, journal, strength } = base;
  const { site, dataPlane } = options;
  const { store, policies, tracing } = deps;
  const { bytesMax, attributesMax } = dataPlane.event;
  const inboxes = makeInboxes({
    site,
    member: options.member,
    ledger,
    isSister: (member) => directory.sisters.some(({ id }) => id === member),
  });
  const limits = () => ({
    eventBytesMax: Math.min(bytesMax, strength.eventBytesMax),
    attributesMax,
  });
  const direct = new DirectSwitch({
    site,
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    inboxes,
    forward,
  });
  const resolver = new Resolver({
    site,
    routingVersion: () => directory.version,
    policyRevision: () => policies.revision,
    destinations: (tenant, topic, kind) => directory.destinations(tenant, topic, kind),
    reachable: (to) => directory.nextHop(to) !== undefined,
    localInterest: (tenant, topic, kind) => directory.wanted(tenant, topic, kind),
    topicPolicy: (tenant, topic) => policies.topicPolicy(tenant, topic),
    topicCount: (tenant, topic) => ledger.topic(tenant, topic),
  });
  const publisher = new Publisher({
    site,
    limits,
    durability: () => strength.durability,
    now: Date.now,
    resolver,
    policies,
    store,
    logs,
    timers,
    direct,
    ledger,
    journal,
    tracing,
  });
  return { direct, publisher, inboxes, resolver, limits };
}
