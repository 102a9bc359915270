import type { MeshPort, PublishItem, Receipt, Session } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { PublisherService as WirePublisherService } from '@eventmesh/proto-gen/wire';
import { type PublishRequest } from '@eventmesh/proto-gen/wire';
import { toFailure, type CallContext, type ServiceImpl } from '@eventmesh/rpc';
import { durabilityToWire } from './durability.ts';
import { encodeOutcomes } from './encode-outcomes.ts';
import { drainingError } from './draining.ts';
import { inOrder } from './in-order.ts';
import { until } from './until.ts';

/** Most events of one PublishBatch or one PublishStream frame. */
export const FRAME_EVENTS_MAX = 4096;

/** PublisherService over the mesh port; the event's bytes are passed on as they came. */
export function publisherService(
  port: MeshPort,
  windowEvents: number,
): ServiceImpl<typeof WirePublisherService> {
  return {
    async publish(request, ctx) {
      const session = await port.authenticate(ctx.metadata.get('authorization'));
      const [outcome] = await port.publish(session, [toItem(request)]);
      if (outcome instanceof MeshError) throw outcome;
      return outcome === undefined ? {} : { receipt: toReceipt(outcome) };
    },

    async publishBatch(request, ctx) {
      const session = await port.authenticate(ctx.metadata.get('authorization'));
      checkFrame(request.events);
      const outcomes = await port.publish(session, request.events.map(toItem), {
        atomic: request.atomic,
      });
      return { outcomes: outcomes.map(toOutcome) };
    },

    publishStream: (requests, ctx) => publishStream(port, requests, ctx, windowEvents),
  };
}

/**
 * Frames are handed to the store as they come, several at a time, and answered in order. Reading
 * pauses while the window is full: that, not an error, is what slows a fast publisher down.
 */
async function* publishStream(
  port: MeshPort,
  requests: AsyncIterable<{ events: PublishRequest[] }>,
  ctx: CallContext,
  windowEvents: number,
) {
  const session = await port.authenticate(ctx.metadata.get('authorization'));
  yield { windowEvents, outcomes: [] };
  const answers = inOrder(
    until(requests, ctx.draining),
    async ({ events }) => publishFrame(port, session, events),
    ({ events }) => events.length,
    windowEvents,
  );
  for await (const outcomes of answers) yield encodeOutcomes(outcomes, windowEvents);
  // Every frame that was taken is answered; the client sends the rest elsewhere.
  if (ctx.draining.aborted) throw drainingError();
}

async function publishFrame(port: MeshPort, session: Session, events: PublishRequest[]) {
  if (port.draining.aborted) {
    throw drainingError();
  }
  checkFrame(events);
  return port.publish(session, events.map(toItem));
}

function checkFrame(events: readonly unknown[]): void {
  if (events.length === 0 || events.length > FRAME_EVENTS_MAX) {
    throw invalid('events', `there are ${events.length}`, {
      limit: `1 to ${FRAME_EVENTS_MAX} events`,
    });
  }
}

function toItem(request: PublishRequest): PublishItem {
  const item = { topic: request.topic, event: request.event };
  const life =
    request.expiresAfterMs === 0n ? {} : { expiresAfterMs: Number(request.expiresAfterMs) };
  switch (request.deliveryClass) {
    case DeliveryClass.UNSPECIFIED:
      return { ...item, ...life };
    case DeliveryClass.DURABLE:
      return { ...item, ...life, deliveryClass: 'durable' };
    case DeliveryClass.DIRECT:
      return { ...item, ...life, deliveryClass: 'direct' };
    default:
      throw invalid('delivery_class', `${request.deliveryClass} is not known`);
  }
}

function toReceipt(receipt: Receipt) {
  return {
    site: receipt.site,
    partition: receipt.partition,
    position: BigInt(receipt.position),
    duplicate: receipt.duplicate,
    durability: durabilityToWire(receipt.durability),
    noInterest: receipt.noInterest,
    destinations: [...receipt.destinations],
  };
}

function toOutcome(outcome: Receipt | MeshError) {
  return outcome instanceof MeshError
    ? { outcome: { case: 'failure' as const, value: toFailure(outcome) } }
    : { outcome: { case: 'receipt' as const, value: toReceipt(outcome) } };
}
