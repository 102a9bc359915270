import type { PublishItem } from '@eventmesh/adapter-api';
import type { GovernanceView, TopicPolicy } from '@eventmesh/clients';
import { MeshError, invalid, tooLarge } from '@eventmesh/errors';
import { checkEvent, type EventLimits, type EventView } from '@eventmesh/event';
import { DeliveryClass, type LatePolicy } from '@eventmesh/proto-gen/event';
import { DURABILITY_CLASSES, atLeast, type DurabilityClass } from '@eventmesh/store-api';
import { inboxClass } from '../request/inbox-address.ts';
import { parseTraceparent } from '@eventmesh/telemetry';
import { latePolicyToWire } from '../schedule/late.ts';
import { auditPrincipal, denied, type CallerSession } from '../session.ts';
import { dueTime, expiry, tellExpiry } from './times.ts';
import type { ResolvedTopic, Resolver } from './resolve.ts';

/** An event that passed every check at the gate. */
export interface Admitted {
  readonly event: EventView;
  readonly resolved: ResolvedTopic;
  readonly key: string;
  /** Ms since the epoch; 0 for never. */
  readonly expiryMs: number;
  /** When to publish it, ms since the epoch; 0 for now. */
  readonly deliverAtMs: number;
  readonly latePolicy: LatePolicy;
  readonly direct: boolean;
  readonly traceparent: string;
  /** Its producer put a trace context into the event itself. */
  readonly traced: boolean;
  readonly dedupKey: string;
}

export interface AdmitDeps {
  /** The smaller of what is configured and what the store takes. */
  readonly limits: () => EventLimits;
  readonly resolver: Resolver;
  readonly policies: GovernanceView;
  /** What the store was found to do; undefined until it has told. */
  readonly durability: () => DurabilityClass | undefined;
  readonly now: () => number;
}

/**
 * The gate: is it an event, is the topic one, may the caller publish there, within its quotas, and
 * does the data satisfy the schema of its type.
 *
 * @param numbered by a producer
 * @throws MeshError that names the field and the limit.
 */
export function admit(
  deps: AdmitDeps,
  session: CallerSession,
  item: PublishItem,
  numbered = false,
): Admitted {
  const event = checkEvent(item.event, deps.limits());
  const resolved = deps.resolver.resolve(session, item.topic);
  if (!resolved.allowed) throw denied('publish', item.topic);
  const { policy } = resolved;
  if (policy !== undefined) checkCatalogue(policy, event, item);
  checkSchema(deps, session, event);
  const deliveryClass =
    inboxClass(item) ?? item.deliveryClass ?? classOf(policy?.deliveryClass) ?? 'durable';
  const direct = deliveryClass === 'direct';
  if (policy !== undefined) checkDurability(deps, policy, item.topic, direct);
  const nowMs = deps.now();
  const deliverAtMs = dueTime(event, item, nowMs, numbered && !direct);
  if (direct && deliverAtMs !== 0) {
    throw invalid('deliverAtMs', 'an event of the direct class cannot wait; publish it as durable');
  }
  const expiryMs = expiry(event, item, nowMs, deliverAtMs, policy?.retentionMs ?? 0);
  takeQuota(deps, session, event);
  const inside = event.text('traceparent');
  return {
    event: tellExpiry(event, item, expiryMs),
    resolved,
    key: event.text('partitionkey') ?? '',
    expiryMs,
    deliverAtMs,
    latePolicy: latePolicyToWire(item.latePolicy),
    direct,
    traceparent: inside ?? outside(item.traceparent),
    traced: inside !== undefined,
    dedupKey: `${event.source}\0${event.id}`,
  };
}

function checkCatalogue(policy: TopicPolicy, event: EventView, item: PublishItem): void {
  const { eventBytesMax } = policy;
  if (eventBytesMax !== 0 && event.bytes.length > eventBytesMax) {
    const limit = `${eventBytesMax} bytes`;
    throw tooLarge(
      'event',
      `has ${event.bytes.length} bytes; "${item.topic}" allows ${limit}`,
      limit,
    );
  }
  if (!policy.allowsType(event.type)) {
    throw invalid('type', `"${event.type}" is not in the catalogue of "${item.topic}"`, {
      reason: 'EVENT_TYPE_NOT_IN_CATALOGUE',
    });
  }
}

function checkSchema(deps: AdmitDeps, session: CallerSession, event: EventView): void {
  const { data } = event;
  if (data === undefined) return;
  const { tenant } = session.principal;
  const verdict = deps.policies.checkSchema(
    tenant,
    event.type,
    event.text('datacontenttype'),
    data.bytes,
  );
  if (verdict.kind === 'ok') return;
  if (verdict.kind === 'refuse') {
    throw invalid('data', verdict.message, { reason: 'SCHEMA', facts: { type: verdict.type } });
  }
  deps.policies.audit({
    tenant,
    principal: auditPrincipal(session.principal),
    action: 'publish',
    resource: event.type,
    outcome: 'done',
    reason: `schema: ${verdict.message}`,
  });
}

const CLASSES: Readonly<Record<number, 'durable' | 'direct'>> = Object.freeze({
  [DeliveryClass.DURABLE]: 'durable',
  [DeliveryClass.DIRECT]: 'direct',
});

const classOf = (wire: DeliveryClass | undefined) => CLASSES[wire ?? 0];

/** A topic that demands more than the store can do is refused, never weakened in silence. */
function checkDurability(
  deps: AdmitDeps,
  policy: TopicPolicy,
  topic: string,
  direct: boolean,
): void {
  const wanted = DURABILITY_CLASSES[policy.durabilityMin - 1];
  if (wanted === undefined) return;
  if (direct) {
    throw new MeshError(
      'FailedPrecondition',
      `"${topic}" demands durability ${wanted}, and a direct event is not stored; publish it as durable`,
      { field: 'deliveryClass', reason: 'STORE_TOO_WEAK', limit: wanted },
    );
  }
  const have = deps.durability();
  if (have !== undefined && atLeast(have, wanted)) return;
  throw new MeshError(
    'FailedPrecondition',
    `"${topic}" demands durability ${wanted}; the store does ${have ?? 'not tell'}`,
    { reason: 'STORE_TOO_WEAK', limit: wanted },
  );
}

function takeQuota(deps: AdmitDeps, session: CallerSession, event: EventView): void {
  const { tenant, name } = session.principal;
  session.quota ??= deps.policies.quota(tenant, name);
  const { eventBytesMax } = session.quota;
  if (eventBytesMax !== 0 && event.bytes.length > eventBytesMax) {
    throw tooLarge('event', `is larger than the quota of ${name}`, `${eventBytesMax} bytes`);
  }
  const retryAfterMs = session.quota.take(1, event.bytes.length);
  if (retryAfterMs === 0) return;
  throw new MeshError('ResourceExhausted', `the quota of ${tenant}/${name} is used up`, {
    field: 'event',
    limit: session.quota.rates,
    reason: 'QUOTA',
    retryAfterMs,
  });
}

/** What a caller gives beside the event may be anything; only a trace context is worth keeping. */
const outside = (text: string | undefined): string =>
  text !== undefined && parseTraceparent(text) !== undefined ? text : '';
