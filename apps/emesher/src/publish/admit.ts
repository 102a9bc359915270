import type { PublishItem } from '@eventmesh/adapter-api';
import type { Policies } from '../control/policies.ts';
import { MeshError, invalid, tooLarge } from '@eventmesh/errors';
import { checkEvent, parseTimestamp, type EventLimits, type EventView } from '@eventmesh/event';
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
  readonly limits: EventLimits;
  readonly resolver: Resolver;
  readonly policies: Policies;
  readonly now: () => number;
}

/**
 * The gate: is it an event, is the topic one, may the caller publish there, within its quotas, and
 * does the data satisfy the schema of its type.
 *
 * @throws MeshError that names the field and the limit.
 */
export function admit(deps: AdmitDeps, session: CallerSession, item: PublishItem): Admitted {
  const event = checkEvent(item.event, deps.limits);
  const resolved = deps.resolver.resolve(session, item.topic);
  if (!resolved.allowed) throw denied('publish', item.topic);
  const { policy } = resolved;
  if (policy !== undefined) checkCatalogue(policy, event, item);
  checkQuota(deps, session, event);
  const schemaProblem = deps.policies.schemaProblem(session.principal.tenant, event);
  if (schemaProblem !== undefined) throw schemaProblem;
  const deliveryClass = item.deliveryClass ?? policy?.deliveryClass ?? 'durable';
  return {
    event,
    resolved,
    key: event.text('partitionkey') ?? '',
    expiryMs: expiry(event, item, deps.now()),
    direct: deliveryClass === 'direct',
    traceparent: event.text('traceparent') ?? '',
    dedupKey: `${event.source}\0${event.id}`,
  };
}

function checkCatalogue(
  policy: NonNullable<ResolvedTopic['policy']>,
  event: EventView,
  item: PublishItem,
): void {
  const { eventBytesMax, eventTypes } = policy;
  if (eventBytesMax !== 0 && event.bytes.length > eventBytesMax) {
    const limit = `${eventBytesMax} bytes`;
    throw tooLarge('event', `has ${event.bytes.length} bytes; "${item.topic}" allows ${limit}`, limit);
  }
  if (eventTypes.length > 0 && !eventTypes.includes(event.type)) {
    throw invalid('type', `"${event.type}" is not in the catalogue of "${item.topic}"`, {
      reason: 'EVENT_TYPE_NOT_IN_CATALOGUE',
    });
  }
}

function checkQuota(deps: AdmitDeps, session: CallerSession, event: EventView): void {
  const { tenant, name } = session.principal;
  const retryAfterMs = deps.policies.takeQuota(tenant, name, event.bytes.length);
  if (retryAfterMs > 0) {
    throw new MeshError('ResourceExhausted', `the quota of ${tenant}/${name} is used up`, {
      reason: 'QUOTA',
      retryAfterMs,
    });
  }
}

/** Relative life becomes absolute here, by this emesher's clock; the earlier end counts. */
function expiry(event: EventView, item: PublishItem, nowMs: number): number {
  const relative = item.expiresAfterMs ?? 0;
  const value = event.attributes.get('expirytime');
  let absolute = 0;
  if (value !== undefined) {
    const time =
      value.kind === 'timestamp' ? value : parseTimestamp(event.text('expirytime') ?? '', 'expirytime');
    absolute = time.seconds * 1000 + Math.floor(time.nanos / 1_000_000);
  }
  if (relative === 0) return absolute;
  return absolute === 0 ? nowMs + relative : Math.min(absolute, nowMs + relative);
}
