import { encodeRecord } from '@eventmesh/event';
import type { AppendRecord } from '@eventmesh/store-api';
import type { Tracing } from '@eventmesh/telemetry';
import { principalText } from '../schedule/principals.ts';
import type { Admitted } from './admit.ts';
import type { Call } from './call.ts';
import { startPublishSpan, tracedBytes, type PublishSpan } from './spans.ts';

export interface RecordDeps {
  readonly site: string;
  readonly tracing: Tracing;
}

/**
 * An admitted event as the store keeps it: as a record of the tenant's events, or as a timer when it
 * is for later.
 *
 * @param spans gets the span of its publish, while something is traced
 */
export function recordOf(
  { site, tracing }: RecordDeps,
  { session, producer, timeUs }: Call,
  admitted: Admitted,
  spans: PublishSpan[],
): AppendRecord {
  const { tenant } = session.principal;
  const span = tracing.enabled ? startPublishSpan(tracing, site, tenant, admitted) : undefined;
  if (span !== undefined) spans.push(span);
  const { key, expiryMs, dedupKey, deliverAtMs, latePolicy, resolved } = admitted;
  const traceparent = span?.traceparent ?? admitted.traceparent;
  const changes = { key, ingressTimeUs: timeUs, expiryMs, traceparent, hops: [] };
  const event = tracedBytes(admitted, traceparent);
  if (deliverAtMs === 0) {
    return { bytes: resolved.encoders.durable.encode(changes, event), dedupKey };
  }
  const head = {
    ...changes,
    tenant,
    topic: resolved.topic,
    principal: principalText(session.principal),
    originSite: site,
    // Where it goes is worked out when it is published.
    destinations: [],
    handling: { ...resolved.handling, deliverAtMs, latePolicy },
  };
  const bytes = encodeRecord(head, event);
  // A producer's numbers alone tell what was stored before: that an event of this id waits, or was
  // taken back, is nothing to them.
  return producer === undefined ? { bytes, dedupKey } : { bytes };
}
