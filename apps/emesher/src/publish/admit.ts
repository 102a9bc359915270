import type { PublishItem } from '@eventmesh/adapter-api';
import type { GovernanceView, TopicPolicy } from '@eventmesh/clients';
import { MeshError, invalid, tooLarge } from '@eventmesh/errors';
import { checkEvent, parseTimestamp, type EventLimits, type EventView } from '@eventmesh/event';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { DURABILITY_CLASSES, atLeast, type DurabilityClass } from '@eventmesh/store-api';
import { denied, type CallerSession } from '../session.ts';
import type { ResolvedTopic, Resolver } from './resolve.ts';

/** An event that passed every check at the gate. */
export interface Admitted {
  readonly event: EventView;
  readonly resolved: ResolvedTopic;
  readonly key: string;
  /** Ms since the epoch; 0 for never. */
  readonly expiryMs: number;
  readonly direct: boolean;
  readonly traceparent: string;
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
 * @throws MeshError that names the field and the limit.
 */
export function admit(deps: AdmitDeps, session: CallerSession, item: PublishItem): Admitted {
  const event = checkEvent(item.event, deps.limits());
  const resolved = deps.resolver.resolve(session, item.topic);
  if (!resolved.allowed) throw denied('publish', item.topic);
  const { policy } = resolved;
  if (policy !== undefined) checkCatalogue(policy, event, item);
  checkSchema(deps, session, event);
  const deliveryClass = item.deliveryClass ?? classOf(policy?.deliveryClass) ?? 'durable';
  const direct = deliveryClass === 'direct';
  if (!direct && policy !== undefined) checkDurability(deps, policy, item.topic);
  takeQuota(deps, session, event);
  return {
    event,
    resolved,
    key: event.text('partitionkey') ?? '',
    expiryMs: expiry(event, item, deps.now()),
    direct,
    traceparent: event.text('traceparent') ?? '',
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
  const { tenant, name } = session.principal;
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
    principal: name,
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
function checkDurability(deps: AdmitDeps, policy: TopicPolicy, topic: string): void {
  const wanted = DURABILITY_CLASSES[policy.durabilityMin - 1];
  if (wanted === undefined) return;
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
    reason: 'QUOTA',
    retryAfterMs,
  });
}

/** A hundred years. */
const LIFE_MS_MAX = 3_155_760_000_000;

/** Relative life becomes absolute here, by this emesher's clock; the earlier end counts. */
function expiry(event: EventView, item: PublishItem, nowMs: number): number {
  const relative = item.expiresAfterMs ?? 0;
  if (relative !== 0 && !(relative > 0 && relative <= LIFE_MS_MAX)) {
    const limit = `1 to ${LIFE_MS_MAX} ms`;
    throw invalid('expiresAfterMs', `${relative} is out of bounds`, { limit });
  }
  const value = event.attributes.get('expirytime');
  let absolute = 0;
  if (value !== undefined) {
    const time =
      value.kind === 'timestamp'
        ? value
        : parseTimestamp(event.text('expirytime') ?? '', 'expirytime');
    absolute = time.seconds * 1000 + Math.floor(time.nanos / 1_000_000);
  }
  if (relative === 0) return absolute;
  return absolute === 0 ? nowMs + relative : Math.min(absolute, nowMs + relative);
}
