import { once } from 'node:events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { PublishItem } from '@eventmesh/adapter-api';
import {
  compileGrants,
  createGovernanceView,
  type GovernanceView,
  type Session as Grants,
} from '@eventmesh/clients';
import { SUBSCRIPTION_DEFAULTS } from '@eventmesh/delivery';
import { encodeEvent, type AttributeValue, type EventData } from '@eventmesh/event';
import { Action, PrincipalSchema, Principal_Kind } from '@eventmesh/proto-gen/acl';
import {
  PolicyService,
  PolicySnapshotSchema,
  type AuditEntry,
} from '@eventmesh/proto-gen/governance';
import { Router, createClient, localTransport } from '@eventmesh/rpc';
import type { DurabilityClass } from '@eventmesh/store-api';
import { LocalInterest } from '../../control/local-interest.ts';
import type { TopicCount } from '../../inspect/ledger.ts';
import { CallerSession } from '../../session.ts';
import type { AdmitDeps } from '../admit.ts';
import { Resolver } from '../resolve.ts';

export const TENANT = 't';
export const SITE = 'west';
export const NOW = Date.parse('2027-01-01T00:00:00Z');
export const GRANTS_REVISION = 7;
export const POLICY_REVISION = 5;

export type Policy = MessageInitShape<typeof PolicySnapshotSchema>;

/** The gate of an emesher, under a policy that came from governance as any does. */
export class Gate {
  readonly audited: AuditEntry[] = [];
  readonly policies: GovernanceView;
  /** Who wants what at this site. */
  readonly interest = new LocalInterest();
  /** Sites that want a topic, with a way to each. */
  readonly elsewhere = new Map<string, readonly string[]>();
  readonly limits = { eventBytesMax: 2000, attributesMax: 4 };
  durability: DurabilityClass | undefined = 'fsync';

  /** @param policy what governance says; undefined while it has not said anything yet */
  constructor(policy: Policy | undefined) {
    const router = new Router().service(PolicyService, {
      watchPolicy: async function* (_, { signal }) {
        if (policy !== undefined) {
          const change = { case: 'snapshot' as const, value: create(PolicySnapshotSchema, policy) };
          yield { revision: BigInt(POLICY_REVISION), change };
        }
        if (!signal.aborted) await once(signal, 'abort');
      },
      appendAudit: ({ entries }) => {
        this.audited.push(...entries);
        return Promise.resolve({});
      },
    });
    this.policies = createGovernanceView(createClient(PolicyService, localTransport(router)), {
      member: 'emesher-1',
      now: () => NOW,
    });
  }

  deps(topicCount: (tenant: string, topic: string) => TopicCount = noCount): AdmitDeps {
    const resolver = new Resolver({
      site: SITE,
      routingVersion: () => 1,
      policyRevision: () => this.policies.revision,
      destinations: (_, topic) => this.elsewhere.get(topic) ?? [],
      reachable: () => true,
      localInterest: (...asked) => this.interest.wants(...asked),
      topicPolicy: (tenant, topic) => this.policies.topicPolicy(tenant, topic),
      topicCount,
    });
    return {
      limits: () => this.limits,
      resolver,
      policies: this.policies,
      durability: () => this.durability,
      now: () => NOW,
    };
  }

  /** Somebody of this site wants a topic. */
  subscribe(topicFilter: string, deliveryClass: 'durable' | 'direct' = 'durable'): void {
    this.interest.add({
      ...SUBSCRIPTION_DEFAULTS,
      ...{ name: topicFilter, topicFilters: [topicFilter], deliveryClass, tenant: TENANT },
      ...{ owner: 'user:ann', site: SITE, createdMs: 1, revision: 1, broadcastOf: '' },
    });
  }

  close(): Promise<void> {
    return this.policies.close(0);
  }
}

const noCount = (_: string, topic: string): TopicCount => ({ topic, events: 0, lastTimeMs: 0 });

/** A caller who may publish to these topics. */
export function caller(topicFilters: readonly string[] = ['#'], name = 'ann'): CallerSession {
  const rights = topicFilters.map((topicFilter) => ({ action: Action.PUBLISH, topicFilter }));
  const grants = compileGrants(rights);
  const session: Grants = {
    principal: create(PrincipalSchema, { tenant: TENANT, kind: Principal_Kind.USER, name }),
    revision: GRANTS_REVISION,
    expiresMs: 0,
    ended: new AbortController().signal,
    can: (action, resource) => grants.allows(action, resource),
    canPublish: (topic) => grants.allows(Action.PUBLISH, topic),
    canSubscribe: (filter) => grants.allows(Action.SUBSCRIBE, filter),
    canReceive: (topic) => grants.allows(Action.SUBSCRIBE, topic),
  };
  return new CallerSession(session);
}

interface Given {
  readonly id?: string;
  readonly type?: string;
  readonly data?: EventData;
  readonly attributes?: Readonly<Record<string, string | AttributeValue>>;
}

export function eventOf({ id = '1', type = 'made', data, attributes = {} }: Given = {}): Buffer {
  const entries = Object.entries(attributes).map(([name, value]): [string, AttributeValue] => [
    name,
    typeof value === 'string' ? { kind: 'string', value } : value,
  ]);
  const parts = { id, source: '/s', type, attributes: entries };
  return encodeEvent(data === undefined ? parts : { ...parts, data });
}

/** An event on its way in, to `orders/eu` unless it says otherwise. */
export const item = (given: Given = {}, options: Partial<PublishItem> = {}): PublishItem => ({
  topic: 'orders/eu',
  event: eventOf(given),
  ...options,
});

/** Data of so many bytes. */
export const bytes = (count: number): EventData => ({ kind: 'binary', bytes: Buffer.alloc(count) });

export const json = (value: unknown): EventData => ({
  kind: 'binary',
  bytes: Buffer.from(JSON.stringify(value)),
});
