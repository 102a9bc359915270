import type { Delivery } from '@eventmesh/adapter-api';
import {
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
  writeVarint,
} from '@eventmesh/event';
import { PreEncoded } from '@eventmesh/rpc';

/**
 * Encodes a frame of deliveries (eventmesh.subscriber.v1.SubscribeResponse):
 *
 *   Deliveries deliveries = 2 { repeated Delivery deliveries = 1 { id = 1, attempt = 2, topic = 3,
 *     event = 4, partition = 5, position = 6, origin_site = 7, ingress_time_us = 8 } }
 *
 * The event's bytes go from the record into the frame in one copy.
 */
export function encodeDeliveries(deliveries: readonly Delivery[]): PreEncoded {
  const lengths = deliveries.map(deliveryLength);
  let inner = 0;
  for (const length of lengths) inner += 1 + varintLength(length) + length;
  const message = new PreEncoded(1 + varintLength(inner) + inner);
  const out = message.bytes;
  out[0] = (2 << 3) | 2;
  let at = writeVarint(out, 1, inner);
  for (let i = 0; i < deliveries.length; i++) {
    const delivery = deliveries[i];
    if (delivery === undefined) continue;
    out[at++] = (1 << 3) | 2;
    at = writeVarint(out, at, lengths[i] ?? 0);
    at = writeDelivery(out, at, delivery);
  }
  return message;
}

function deliveryLength(delivery: Delivery): number {
  const { event } = delivery;
  return (
    numberFieldLength(delivery.id) +
    numberFieldLength(delivery.attempt) +
    stringFieldLength(Buffer.byteLength(delivery.topic)) +
    1 +
    varintLength(event.length) +
    event.length +
    numberFieldLength(delivery.partition) +
    numberFieldLength(delivery.position) +
    stringFieldLength(Buffer.byteLength(delivery.originSite)) +
    numberFieldLength(delivery.ingressTimeUs)
  );
}

function writeDelivery(out: Buffer, start: number, delivery: Delivery): number {
  const { topic, originSite } = delivery;
  let at = writeNumberField(out, start, 1, delivery.id);
  at = writeNumberField(out, at, 2, delivery.attempt);
  at = writeStringField(out, at, 3, topic, Buffer.byteLength(topic));
  at = writeBytesField(out, at, 4, delivery.event);
  at = writeNumberField(out, at, 5, delivery.partition);
  at = writeNumberField(out, at, 6, delivery.position);
  at = writeStringField(out, at, 7, originSite, Buffer.byteLength(originSite));
  return writeNumberField(out, at, 8, delivery.ingressTimeUs);
}
