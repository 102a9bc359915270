import { NO_HANDLING, encodeHandling, type Handling } from './handling.ts';
import { encodeHops, type Hop } from './hops.ts';
import {
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
} from './protobuf.ts';

/**
 * The envelope round an event's bytes (eventmesh.event.v1.Record): all that routing and delivery
 * read. Times are by the clock of the site that set them.
 */
export interface RecordHead {
  readonly tenant: string;
  readonly topic: string;
  /** Name of the principal that published the event. */
  readonly principal: string;
  /** The site where the event entered the mesh. */
  readonly originSite: string;
  /** Sites other than this one that the event still has to reach from here. */
  readonly destinations: readonly string[];
  /** Only on its way through this site: no local subscription may have it. */
  readonly transit?: boolean;
  /** Order key (CloudEvents partitionkey); empty means that no order is promised. */
  readonly key?: string;
  /** When the mesh accepted the event, in microseconds since the Unix epoch. */
  readonly ingressTimeUs: number;
  /** When the event stops being worth delivering, in ms since the epoch; 0 means never. */
  readonly expiryMs?: number;
  /** Where the event lies in its origin's log; partition and position of the first store. */
  readonly originPartition?: number;
  readonly originPosition?: number;
  /** W3C trace context of the publish. */
  readonly traceparent?: string;
  /** Sites the event has reached so far, the origin first. */
  readonly hops: readonly Hop[];
  readonly handling?: Handling;
}

export interface RecordView extends Required<RecordHead> {
  /** The event as io.cloudevents.v1.CloudEvent; a view of the record's own bytes. */
  readonly event: Buffer;
}

/** Whether the life of a record is over. Both in ms since the epoch; 0 means that it has no end. */
export const hasExpired = (expiryMs: number, nowMs: number): boolean =>
  expiryMs !== 0 && expiryMs <= nowMs;

/** Numbers of the fields of a record. */
export const F = {
  topic: 1,
  tenant: 2,
  principal: 3,
  originSite: 4,
  destinations: 5,
  transit: 6,
  key: 7,
  ingressTimeUs: 8,
  expiryMs: 9,
  originPartition: 10,
  originPosition: 11,
  traceparent: 12,
  hops: 13,
  handling: 14,
  event: 15,
} as const;

/**
 * Encodes a record with the event last. The constant part of a stream of records (topic, tenant,
 * principal, site, destinations) is worth preparing once: see `RecordEncoder`.
 */
export function encodeRecord(head: RecordHead, event: Uint8Array): Buffer {
  return new RecordEncoder(head).encode(head, event);
}

/** The fields that change from event to event of one publisher on one topic. */
export type RecordChanges = Pick<
  RecordHead,
  | 'key'
  | 'ingressTimeUs'
  | 'expiryMs'
  | 'originPartition'
  | 'originPosition'
  | 'traceparent'
  | 'hops'
>;

/**
 * Encodes many records that share topic, tenant, principal, origin site and destinations: those
 * bytes are laid out once and copied.
 */
export class RecordEncoder {
  readonly #prefix: Buffer;

  constructor(shared: Omit<RecordHead, keyof RecordChanges>) {
    const strings: [number, string][] = [
      [F.topic, shared.topic],
      [F.tenant, shared.tenant],
      [F.principal, shared.principal],
      [F.originSite, shared.originSite],
      ...shared.destinations.map((site): [number, string] => [F.destinations, site]),
    ];
    const handling = encodeHandling(F.handling, shared.handling ?? NO_HANDLING);
    let size = (shared.transit === true ? 2 : 0) + handling.length;
    for (const [, text] of strings) size += stringFieldLength(Buffer.byteLength(text));
    const prefix = Buffer.allocUnsafe(size);
    let at = 0;
    for (const [field, text] of strings) {
      at = writeStringField(prefix, at, field, text, Buffer.byteLength(text));
    }
    at = writeNumberField(prefix, at, F.transit, shared.transit === true ? 1 : 0);
    prefix.set(handling, at);
    this.#prefix = prefix;
  }

  encode(changes: RecordChanges, event: Uint8Array): Buffer {
    const { key = '', expiryMs = 0, originPartition = 0, originPosition = 0 } = changes;
    const traceparent = changes.traceparent ?? '';
    const keyLength = Buffer.byteLength(key);
    const traceLength = Buffer.byteLength(traceparent);
    const hops = changes.hops.length === 0 ? NO_BYTES : encodeHops(F.hops, changes.hops);
    const size =
      this.#prefix.length +
      stringFieldLength(keyLength) +
      numberFieldLength(changes.ingressTimeUs) +
      numberFieldLength(expiryMs) +
      numberFieldLength(originPartition) +
      numberFieldLength(originPosition) +
      stringFieldLength(traceLength) +
      hops.length +
      1 +
      varintLength(event.length) +
      event.length;
    const out = Buffer.allocUnsafe(size);
    out.set(this.#prefix, 0);
    let at = this.#prefix.length;
    at = writeStringField(out, at, F.key, key, keyLength);
    at = writeNumberField(out, at, F.ingressTimeUs, changes.ingressTimeUs);
    at = writeNumberField(out, at, F.expiryMs, expiryMs);
    at = writeNumberField(out, at, F.originPartition, originPartition);
    at = writeNumberField(out, at, F.originPosition, originPosition);
    at = writeStringField(out, at, F.traceparent, traceparent, traceLength);
    out.set(hops, at);
    writeBytesField(out, at + hops.length, F.event, event);
    return out;
  }
}

const NO_BYTES = Buffer.alloc(0);
