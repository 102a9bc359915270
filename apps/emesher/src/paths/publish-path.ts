import type { DirectLanes } from '../deliver/direct-lanes.ts';
import { DirectPublisher, type ForwardDirect } from '../publish/direct.ts';
import { Publisher } from '../publish/publisher.ts';
import { Resolver } from '../publish/resolve.ts';
import type { Inboxes } from '../request/inboxes.ts';
import { makeRequests } from '../request/make-requests.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

interface PublishParts {
  readonly lanes: DirectLanes;
  readonly inboxes: Inboxes;
  /** Where direct events go on. */
  readonly forward: ForwardDirect;
  /** Where events go that are for later. */
  readonly timers: () => Timers;
  readonly draining: AbortSignal;
}

/** Admit → resolve → append → receipt; the direct class, which skips the store; and requests. */
export function publishPath(
  { options, deps, logs, directory, ledger, metrics, journal, strength }: Base,
  { lanes, inboxes, forward, timers, draining }: PublishParts,
) {
  const { site, member, dataPlane } = options;
  const { store, policies, tracing } = deps;
  const { bytesMax, attributesMax } = dataPlane.event;
  const limits = () => ({
    eventBytesMax: Math.min(bytesMax, strength.eventBytesMax),
    attributesMax,
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
  const requests = makeRequests({
    site,
    member,
    config: dataPlane.request,
    limits,
    inboxes,
    resolver,
    publisher,
    metrics,
    draining,
  });
  return { publisher, requests };
}
