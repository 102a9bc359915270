import { traceparentOf, type Tracing } from '@eventmesh/telemetry';
import type { Admitted } from './admit.ts';

/**
 * The span of a publish. Its traceparent travels in the record, so that every later hop and
 * delivery hangs below it; the event's own attributes stay as the producer made them.
 */
export function startPublishSpan(
  tracing: Tracing,
  site: string,
  tenant: string,
  admitted: Admitted,
): { readonly traceparent: string } | undefined {
  const parent = admitted.traceparent === '' ? undefined : admitted.traceparent;
  const span = tracing.start('eventmesh publish', parent, {
    'messaging.system': 'eventmesh',
    'messaging.destination.name': admitted.resolved.topic,
    'messaging.message.id': admitted.event.id,
    'eventmesh.site': site,
    'eventmesh.tenant': tenant,
  });
  if (span === undefined) return undefined;
  const traceparent = traceparentOf(span);
  span.end();
  return { traceparent };
}

/** A span of a later step, below the publish. */
export function recordSpan(
  tracing: Tracing,
  name: string,
  traceparent: string,
  attributes: Record<string, string | number>,
): void {
  if (!tracing.enabled || traceparent === '') return;
  tracing.start(name, traceparent, attributes)?.end();
}
