import type { TopicPolicy } from '@eventmesh/clients';
import { NO_HANDLING, checkTopic, type Handling } from '@eventmesh/event';
import type { TopicCount } from '../inspect/ledger.ts';
import { isInboxTopic } from '../request/inbox-address.ts';
import { resolveInbox } from '../request/resolve-inbox.ts';
import type { CallerSession } from '../session.ts';
import { TopicEncoders } from './topic-encoders.ts';

/** Everything about a topic that does not change from event to event. */
export interface ResolvedTopic {
  readonly topic: string;
  readonly allowed: boolean;
  readonly policy: TopicPolicy | undefined;
  /** Other sites that want it. */
  readonly destinations: readonly string[];
  readonly directDestinations: readonly string[];
  /** Events stored of it. */
  readonly count: TopicCount;
  /** Whether a subscription of a class, here or elsewhere, wants it now. */
  readonly wanted: Readonly<Record<'durable' | 'direct', boolean>>;
  /** By which rules its events are admitted. */
  readonly handling: Handling;
  readonly encoders: TopicEncoders;
  /** What it was worked out from. */
  readonly version: string;
}

export interface ResolverDeps {
  readonly site: string;
  /** Changes whenever interest, routes or local subscriptions do. */
  readonly routingVersion: () => number;
  readonly policyRevision: () => number;
  readonly destinations: (
    tenant: string,
    topic: string,
    deliveryClass: 'durable' | 'direct',
  ) => readonly string[];
  /** Whether there is a way to a site. */
  readonly reachable: (site: string) => boolean;
  /** Whether a subscription of this site and of a class wants it. */
  readonly localInterest: (
    tenant: string,
    topic: string,
    deliveryClass: 'durable' | 'direct',
  ) => boolean;
  readonly topicPolicy: (tenant: string, topic: string) => TopicPolicy | undefined;
  readonly topicCount: (tenant: string, topic: string) => TopicCount;
}

/** Topics remembered per caller. */
const TOPICS_MAX = 4096;

/** Works out a topic once per caller and version; the hot path is one map look-up. */
export class Resolver {
  readonly #deps: ResolverDeps;

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  /** @throws MeshError InvalidArgument (topic); Unavailable when acl cannot be asked. */
  resolve(session: CallerSession, topic: string): ResolvedTopic {
    if (isInboxTopic(topic)) {
      return resolveInbox(session, topic, this.#deps.site, this.#deps.reachable);
    }
    const version = this.#version(session);
    const known = session.topics.get(topic);
    if (known !== undefined && known.version === version) {
      // A session whose grants can no longer be trusted must not live on in this cache.
      if (known.allowed && !session.grants.canPublish(topic)) return { ...known, allowed: false };
      return known;
    }
    const resolved = this.#work(session, checkTopic(topic), version);
    if (session.topics.size >= TOPICS_MAX) session.topics.clear();
    session.topics.set(topic, resolved);
    return resolved;
  }

  #version(session: CallerSession): string {
    const { routingVersion, policyRevision } = this.#deps;
    return `${routingVersion()}/${policyRevision()}/${session.grants.revision}`;
  }

  #work(session: CallerSession, topic: string, version: string): ResolvedTopic {
    const { site, destinations, localInterest, topicPolicy, topicCount, policyRevision } =
      this.#deps;
    const { tenant, name } = session.principal;
    const durable = destinations(tenant, topic, 'durable');
    const direct = destinations(tenant, topic, 'direct');
    const handling = {
      ...NO_HANDLING,
      policyRevision: Math.max(0, policyRevision()),
      grantsRevision: Math.max(0, session.grants.revision),
    };
    return {
      topic,
      allowed: session.grants.canPublish(topic),
      policy: topicPolicy(tenant, topic),
      count: topicCount(tenant, topic),
      destinations: durable,
      directDestinations: direct,
      wanted: {
        durable: durable.length > 0 || localInterest(tenant, topic, 'durable'),
        direct: direct.length > 0 || localInterest(tenant, topic, 'direct'),
      },
      handling,
      encoders: new TopicEncoders(
        { handling, tenant, topic, principal: name, originSite: site },
        { durable, direct },
      ),
      version,
    };
  }
}
