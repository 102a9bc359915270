import { create, toBinary } from '@bufbuild/protobuf';
import {
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
  writeVarint,
} from '@eventmesh/event';
import { PublishStreamRequestSchema } from '@eventmesh/proto-gen/wire';
import { PreEncoded } from '@eventmesh/rpc';
import type { Item } from './publish-frames.ts';

/** Field 1, length-delimited: an event in the frame. */
const EVENTS = 0x0a;

/**
 * Encodes a frame of events (eventmesh.publisher.v1.PublishStreamRequest):
 *
 *   repeated PublishRequest events = 1 { topic = 1, event = 2, delivery_class = 3,
 *     expires_after_ms = 4, deliver_at_ms = 5, deliver_after_ms = 6, late_policy = 7, sequence = 8 }
 *   Producer producer = 2
 *
 * Each event's bytes go into the frame in one copy.
 */
export function encodeFrame(
  events: readonly Item[],
  producer: { readonly id: string; readonly epoch: number } | undefined,
): PreEncoded {
  const head =
    producer === undefined
      ? NO_BYTES
      : toBinary(
          PublishStreamRequestSchema,
          create(PublishStreamRequestSchema, {
            producer: { id: producer.id, epoch: BigInt(producer.epoch) },
          }),
        );
  const lengths = events.map(requestLength);
  let size = head.length;
  for (const length of lengths) size += 1 + varintLength(length) + length;
  const message = new PreEncoded(size);
  const out = message.bytes;
  out.set(head, 0);
  let at = head.length;
  for (const [index, item] of events.entries()) {
    out[at++] = EVENTS;
    at = writeRequest(out, writeVarint(out, at, lengths[index] ?? 0), item);
  }
  return message;
}

const NO_BYTES = new Uint8Array(0);

function requestLength(item: Item): number {
  const { event } = item;
  let length = stringFieldLength(Buffer.byteLength(item.topic));
  length += 1 + varintLength(event.length) + event.length;
  length += numberFieldLength(item.deliveryClass);
  length += numberFieldLength(Number(item.expiresAfterMs));
  length += numberFieldLength(Number(item.deliverAtMs));
  length += numberFieldLength(Number(item.deliverAfterMs));
  length += numberFieldLength(item.latePolicy);
  return length + numberFieldLength(Number(item.sequence));
}

function writeRequest(out: Buffer, start: number, item: Item): number {
  let at = writeStringField(out, start, 1, item.topic, Buffer.byteLength(item.topic));
  at = writeBytesField(out, at, 2, item.event);
  at = writeNumberField(out, at, 3, item.deliveryClass);
  at = writeNumberField(out, at, 4, Number(item.expiresAfterMs));
  at = writeNumberField(out, at, 5, Number(item.deliverAtMs));
  at = writeNumberField(out, at, 6, Number(item.deliverAfterMs));
  at = writeNumberField(out, at, 7, item.latePolicy);
  return writeNumberField(out, at, 8, Number(item.sequence));
}
