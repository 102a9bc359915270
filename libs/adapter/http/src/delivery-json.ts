import type { Delivery } from '@eventmesh/adapter-api';
import { EventView, encodeJsonEvent } from '@eventmesh/event';

const CLOSE = Buffer.from('}');

/** A delivery as JSON: what the mesh knows of it round the event in the CloudEvents JSON format. */
export function envelopeJson(delivery: Delivery): Buffer {
  const { event, ...about } = delivery;
  const head = JSON.stringify(about);
  return Buffer.concat([
    Buffer.from(`${head.slice(0, -1)},"event":`),
    encodeJsonEvent(new EventView(event)),
    CLOSE,
  ]);
}

export const eventJson = (delivery: Delivery): Buffer =>
  encodeJsonEvent(new EventView(delivery.event));

export const bytesOf = (deliveries: readonly Delivery[]): number =>
  deliveries.reduce((sum, { event }) => sum + event.length, 0);
