import { DirectLanes } from '../deliver/direct-lanes.ts';
import { DirectPublisher, type ForwardDirect } from '../publish/direct.ts';
import { Publisher } from '../publish/publisher.ts';
import { Resolver } from '../publish/resolve.ts';
import { makeInboxes } from '../request/make-requests.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

/** Adapter → admit → resolve → append → receipt; and the direct class, which skips the store. */
export function publishPath(base: Base, forward: ForwardDirect, timers: () => Timers) {
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
  const lanes = new DirectLanes({
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    now: Date.now,
    inboxes,
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
    direct: new DirectPublisher({ site, ledger, lanes, forward }),
    ledger,
    journal,
    tracing,
  });
  return { lanes, publisher, inboxes, resolver, limits };
}
