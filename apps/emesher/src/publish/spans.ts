import { encodeAttribute } from '@eventmesh/event';
import { traceparentOf, type Tracing } from '@eventmesh/telemetry';
import type { Admitted } from './admit.ts';

export interface PublishSpan {
  readonly traceparent: string;
  /** The store has answered. */
  end(): void;
}

/**
 * The event's bytes with its trace context (CloudEvents distributed tracing extension), so that its
 * consumers see it in any protocol. One that the producer put into the event stays as it is.
 */
export function tracedBytes({ event, traced }: Admitted, traceparent: string): Buffer {
  if (traced || traceparent === '') return event.bytes;
  const attribute = encodeAttribute('traceparent', { kind: 'string', value: traceparent });
  return Buffer.concat([event.bytes, attribute]);
}

/**
 * The span of a publish, from the gate to the receipt. Its traceparent travels in the record, so
 * that every later hop and delivery hangs below it.
 */
export function startPublishSpan(
  tracing: Tracing,
  site: string,
  tenant: string,
  admitted: Admitted,
): PublishSpan | undefined {
  const parent = admitted.traceparent === '' ? undefined : admitted.traceparent;
  const span = tracing.start('eventmesh publish', parent, {
    'messaging.system': 'eventmesh',
    'messaging.destination.name': admitted.resolved.topic,
    'messaging.message.id': admitted.event.id,
    'eventmesh.site': site,
    'eventmesh.tenant': tenant,
  });
  if (span === undefined) return undefined;
  return { traceparent: traceparentOf(span), end: () => span.end() };
}

/** A span of a later step, below the publish, that began at `startUs` and ends now. */
export function recordSpan(
  tracing: Tracing,
  name: string,
  traceparent: string,
  startUs: number,
  attributes: Record<string, string | number>,
): void {
  if (!tracing.enabled || traceparent === '') return;
  tracing.start(name, traceparent, attributes, startUs)?.end();
}
