import { fromBinary } from '@bufbuild/protobuf';
import { invalid } from '@eventmesh/errors';
import { WireReader, asBuffer } from '@eventmesh/event';
import {
  SubscribeResponseSchema,
  type Delivery as GeneratedDelivery,
  type SubscribeResponse,
} from '@eventmesh/proto-gen/wire';

/** A delivery as it came (eventmesh.subscriber.v1.Delivery). */
export interface WireDelivery {
  readonly id: bigint;
  readonly attempt: number;
  readonly topic: string;
  /** The CloudEvent's own bytes, which share memory with the frame. */
  readonly event: Buffer;
  readonly partition: number;
  readonly position: number;
  readonly originSite: string;
  readonly ingressTimeUs: number;
}

/** The message of the stream that is not one of deliveries. */
export type OtherMessage = Exclude<
  SubscribeResponse['message'],
  { readonly case: 'deliveries' } | { readonly case: undefined }
>;

/** What a subscription's stream tells. */
export type StreamMessage =
  { readonly deliveries: readonly WireDelivery[] } | { readonly other: OtherMessage | undefined };

/** Field 2 of SubscribeResponse, length-delimited: a frame of deliveries. */
const DELIVERIES = 0x12;
/** Field 1 of Deliveries, length-delimited. */
const DELIVERY = 0x0a;
const NO_BYTES = Buffer.alloc(0);

/**
 * Reads a message of a subscription's stream (eventmesh.subscriber.v1.SubscribeResponse):
 *
 *   Deliveries deliveries = 2 { repeated Delivery deliveries = 1 { id = 1, attempt = 2, topic = 3,
 *     event = 4, partition = 5, position = 6, origin_site = 7, ingress_time_us = 8 } }
 *
 * Frames of deliveries are read in one pass, the events by reference; others by the general decoder.
 *
 * @throws MeshError InvalidArgument for bytes that are no such message.
 */
export function decodeStreamMessage(bytes: Buffer): StreamMessage {
  if (bytes[0] === DELIVERIES) {
    const reader = new WireReader(bytes, 1);
    // Anything behind it is for the general decoder: the last of a oneof wins.
    if (reader.span() === bytes.length) return { deliveries: readDeliveries(reader) };
  }
  const { message } = fromBinary(SubscribeResponseSchema, bytes);
  if (message.case === undefined) return { other: undefined };
  if (message.case !== 'deliveries') return { other: message };
  return { deliveries: message.value.deliveries.map(plain) };
}

const plain = ({ event, position, ingressTimeUs, ...rest }: GeneratedDelivery): WireDelivery => ({
  ...rest,
  event: asBuffer(event),
  position: Number(position),
  ingressTimeUs: Number(ingressTimeUs),
});

function readDeliveries(reader: WireReader): WireDelivery[] {
  const deliveries: WireDelivery[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === DELIVERY) deliveries.push(readDelivery(reader, reader.span()));
    else reader.skipUnknown(tag, 1);
  }
  return deliveries;
}

function readDelivery(reader: WireReader, end: number): WireDelivery {
  let id = 0;
  let attempt = 0;
  let topic = '';
  let event: Buffer = NO_BYTES;
  let partition = 0;
  let position = 0;
  let originSite = '';
  let ingressTimeUs = 0;
  while (reader.at < end) {
    const tag = reader.tag();
    if (tag === 0x08) id = reader.varint();
    else if (tag === 0x10) attempt = reader.varint();
    else if (tag === 0x1a) topic = reader.text();
    else if (tag === 0x22) event = reader.view();
    else if (tag === 0x28) partition = reader.varint();
    else if (tag === 0x30) position = reader.varint();
    else if (tag === 0x3a) originSite = reader.text();
    else if (tag === 0x40) ingressTimeUs = reader.varint();
    else reader.skipUnknown(tag, 8);
  }
  if (reader.at > end) throw invalid('protobuf', 'a delivery is longer than it says');
  return { id: BigInt(id), attempt, topic, event, partition, position, originSite, ingressTimeUs };
}
