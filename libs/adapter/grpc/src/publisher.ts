import {
  drainingError,
  type MeshPort,
  type PublishItem,
  type PublishOptions,
  type Receipt,
  type Session,
} from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { atomicFault } from '@eventmesh/event';
import { DeliveryClass, LatePolicy } from '@eventmesh/proto-gen/event';
import type { Producer as WireProducer } from '@eventmesh/proto-gen/publisher';
import type {
  PublishRequest,
  PublishStreamRequest,
  PublisherService as WirePublisherService,
} from '@eventmesh/proto-gen/wire';
import { toFailure, type CallContext, type ServiceImpl } from '@eventmesh/rpc';
import { durabilityToWire } from './durability.ts';
import { encodeOutcomes } from './encode-outcomes.ts';
import { inOrder } from './in-order.ts';
import { GRPC_METRICS } from './metrics.ts';
import type { GrpcAdapterOptions } from './options.ts';
import { PublishWindow, type Load } from './publish-window.ts';
import { request } from './request.ts';
import { sessionOf } from './session-of.ts';
import { until } from './until.ts';

/** Most events of one PublishBatch or one PublishStream frame. */
export const FRAME_EVENTS_MAX = 4096;

/** PublisherService over the mesh port; the event's bytes are passed on as they came. */
export function publisherService(
  port: MeshPort,
  options: GrpcAdapterOptions,
): ServiceImpl<typeof WirePublisherService> {
  return {
    async publish(request, ctx) {
      const session = await sessionOf(port, ctx);
      const item = toItem(request, ctx.metadata.get('traceparent'));
      if (item instanceof MeshError) throw item;
      const [outcome] = await port.publish(session, [item]);
      if (outcome instanceof MeshError) throw outcome;
      return outcome === undefined ? {} : { receipt: toReceipt(outcome) };
    },

    async publishBatch({ events, atomic, producer }, ctx) {
      const session = await sessionOf(port, ctx);
      const traceparent = ctx.metadata.get('traceparent');
      const options = { atomic, ...withProducer(producer) };
      const outcomes = await publishFrame(port, session, events, options, traceparent);
      return { outcomes: outcomes.map(toOutcome) };
    },

    request: (given, ctx) => request(port, given, ctx),

    publishStream: (requests, ctx) => publishStream(port, requests, ctx, options),
  };
}

/**
 * Frames are handed to the store as they come, several at a time, and answered in order. Reading
 * pauses while the window is full: that, not an error, is what slows a fast publisher down.
 */
async function* publishStream(
  port: MeshPort,
  requests: AsyncIterable<PublishStreamRequest>,
  ctx: CallContext,
  { windowEvents, windowBytes, metrics }: GrpcAdapterOptions,
) {
  const session = await sessionOf(port, ctx);
  yield { windowEvents, outcomes: [] };
  const traceparent = ctx.metadata.get('traceparent');
  const window = new PublishWindow(windowEvents, windowBytes);
  let options: PublishOptions | undefined;
  const answers = inOrder(
    until(requests, ctx.draining),
    async ({ events, producer }) => {
      if (options !== undefined && producer !== undefined) {
        throw invalid('producer', 'can be in the first frame of a stream only');
      }
      // One object for the whole stream: it is what orders the appends of a producer.
      options ??= withProducer(producer);
      return publishFrame(port, session, events, options, traceparent);
    },
    loadOf,
    window,
  );
  const stops = [
    metrics.measure(GRPC_METRICS.publishEvents, () => window.events),
    metrics.measure(GRPC_METRICS.publishBytes, () => window.bytes),
  ];
  try {
    for await (const outcomes of answers) yield encodeOutcomes(outcomes, windowEvents);
  } finally {
    for (const stop of stops) stop();
  }
  // Every frame that was taken is answered; the client sends the rest elsewhere.
  if (ctx.draining.aborted) throw drainingError();
}

function loadOf({ events }: PublishStreamRequest): Load {
  let bytes = 0;
  for (const { event } of events) bytes += event.length;
  return { events: events.length, bytes };
}

/** An event that cannot even be handed on has its outcome like any other. */
async function publishFrame(
  port: MeshPort,
  session: Session,
  events: readonly PublishRequest[],
  options: PublishOptions,
  traceparent?: string,
): Promise<readonly (Receipt | MeshError)[]> {
  if (port.draining.aborted) throw drainingError();
  checkFrame(events);
  const items = events.map((event) => toItem(event, traceparent));
  const whole = atomicFault(items);
  if (whole === undefined) return port.publish(session, items.filter(isItem), options);
  if (options.atomic === true) return items.map(() => whole);
  const good = items.filter(isItem);
  const outcomes = good.length === 0 ? [] : await port.publish(session, good, options);
  let next = 0;
  return items.map((item) => (isItem(item) ? (outcomes[next++] ?? noOutcome()) : item));
}

const isItem = (item: PublishItem | MeshError): item is PublishItem => !(item instanceof MeshError);

const noOutcome = () => new MeshError('Internal', 'the mesh gave no outcome');

const withProducer = (producer: WireProducer | undefined): PublishOptions =>
  producer === undefined ? {} : { producer: { id: producer.id, epoch: Number(producer.epoch) } };

function checkFrame(events: readonly unknown[]): void {
  if (events.length === 0 || events.length > FRAME_EVENTS_MAX) {
    throw invalid('events', `there are ${events.length}`, {
      limit: `1 to ${FRAME_EVENTS_MAX} events`,
    });
  }
}

const CLASSES = new Map<DeliveryClass, Pick<PublishItem, 'deliveryClass'>>([
  [DeliveryClass.UNSPECIFIED, {}],
  [DeliveryClass.DURABLE, { deliveryClass: 'durable' }],
  [DeliveryClass.DIRECT, { deliveryClass: 'direct' }],
]);
const LATE = new Map<LatePolicy, Pick<PublishItem, 'latePolicy'>>([
  [LatePolicy.UNSPECIFIED, {}],
  [LatePolicy.FIRE, { latePolicy: 'fire' }],
  [LatePolicy.SKIP, { latePolicy: 'skip' }],
  [LatePolicy.DEAD_LETTER, { latePolicy: 'dead-letter' }],
]);

/** Nothing but an event and its class: the usual case, which need not pay for the others. */
const isPlain = (request: PublishRequest): boolean =>
  request.sequence === 0n &&
  request.expiresAfterMs === 0n &&
  request.deliverAtMs === 0n &&
  request.deliverAfterMs === 0n;

function toItem(request: PublishRequest, traceparent?: string): PublishItem | MeshError {
  const { topic, event, expiresAfterMs, deliverAtMs, deliverAfterMs, sequence } = request;
  const deliveryClass = CLASSES.get(request.deliveryClass);
  if (deliveryClass === undefined) {
    return invalid('delivery_class', `${request.deliveryClass} is not known`);
  }
  const late = LATE.get(request.latePolicy);
  if (late === undefined) return invalid('late_policy', `${request.latePolicy} is not known`);
  const item = { topic, event, ...deliveryClass };
  if (traceparent === undefined && isPlain(request)) {
    return { ...item, ...late };
  }
  return {
    ...item,
    ...late,
    expiresAfterMs: Number(expiresAfterMs),
    deliverAtMs: Number(deliverAtMs),
    deliverAfterMs: Number(deliverAfterMs),
    sequence: Number(sequence),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
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
    deliverAtMs: BigInt(receipt.deliverAtMs ?? 0),
  };
}

function toOutcome(outcome: Receipt | MeshError) {
  return outcome instanceof MeshError
    ? { outcome: { case: 'failure' as const, value: toFailure(outcome) } }
    : { outcome: { case: 'receipt' as const, value: toReceipt(outcome) } };
}
