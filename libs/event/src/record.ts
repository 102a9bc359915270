import {
  WireReader,
  asBuffer,
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
} from './protobuf.ts';

/** A site that the event has reached, and when it was stored there. */
export interface Hop {
  readonly site: string;
  /** Microseconds since the Unix epoch, by that site's clock. */
  readonly timeUs: number;
}

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

/** By which rules a record was admitted, and what is special about it. */
export interface Handling {
  /** Revision of the catalogue and quotas by which the event was admitted; 0 when not known. */
  readonly policyRevision: number;
  /** Revision of the grants by which its publisher was authorised; 0 when not known. */
  readonly grantsRevision: number;
  /** Only this subscription of this site may have it: a redriven dead letter. Empty means any. */
  readonly onlySubscription: string;
  /** When to publish it, in ms since the epoch; 0 outside the log of timers. */
  readonly deliverAtMs: number;
  /** eventmesh.event.v1.LatePolicy, beside `deliverAtMs`. */
  readonly latePolicy: number;
}

/** Nothing special, and nothing known. */
export const NO_HANDLING: Handling = Object.freeze({
  policyRevision: 0,
  grantsRevision: 0,
  onlySubscription: '',
  deliverAtMs: 0,
  latePolicy: 0,
});

export interface RecordView extends Required<RecordHead> {
  /** The event as io.cloudevents.v1.CloudEvent; a view of the record's own bytes. */
  readonly event: Buffer;
}

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
const LENGTH_DELIMITED = 2;

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
    const handling = encodeHandling(shared.handling ?? NO_HANDLING);
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
    const hops = changes.hops.length === 0 ? NO_BYTES : encodeHops(changes.hops);
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

function encodeHops(hops: readonly Hop[]): Buffer {
  return Buffer.concat(
    hops.map((hop) => {
      const siteLength = Buffer.byteLength(hop.site);
      const inner = Buffer.allocUnsafe(
        stringFieldLength(siteLength) + numberFieldLength(hop.timeUs),
      );
      const at = writeStringField(inner, 0, 1, hop.site, siteLength);
      writeNumberField(inner, at, 2, hop.timeUs);
      const out = Buffer.allocUnsafe(1 + varintLength(inner.length) + inner.length);
      writeBytesField(out, 0, F.hops, inner);
      return out;
    }),
  );
}

function encodeHandling(handling: Handling): Buffer {
  const { policyRevision, grantsRevision, onlySubscription, deliverAtMs, latePolicy } = handling;
  const nameLength = Buffer.byteLength(onlySubscription);
  const inner = Buffer.allocUnsafe(
    numberFieldLength(policyRevision) +
      numberFieldLength(grantsRevision) +
      stringFieldLength(nameLength) +
      numberFieldLength(deliverAtMs) +
      numberFieldLength(latePolicy),
  );
  if (inner.length === 0) return NO_BYTES;
  let at = writeNumberField(inner, 0, 1, policyRevision);
  at = writeNumberField(inner, at, 2, grantsRevision);
  at = writeStringField(inner, at, 3, onlySubscription, nameLength);
  at = writeNumberField(inner, at, 4, deliverAtMs);
  writeNumberField(inner, at, 5, latePolicy);
  const out = Buffer.allocUnsafe(1 + varintLength(inner.length) + inner.length);
  writeBytesField(out, 0, F.handling, inner);
  return out;
}

/**
 * Reads a record in place; `event` shares the input's memory.
 *
 * @throws MeshError InvalidArgument when the bytes are not a record.
 */
export function decodeRecord(encoded: Uint8Array): RecordView {
  const reader = new WireReader(asBuffer(encoded));
  const head = {
    topic: '',
    tenant: '',
    principal: '',
    originSite: '',
    destinations: NO_STRINGS as string[],
    transit: false,
    key: '',
    ingressTimeUs: 0,
    expiryMs: 0,
    originPartition: 0,
    originPosition: 0,
    traceparent: '',
    hops: NO_HOPS as Hop[],
    handling: NO_HANDLING,
    event: NO_BYTES as Buffer,
  };
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case (F.topic << 3) | LENGTH_DELIMITED:
        head.topic = reader.text();
        break;
      case (F.tenant << 3) | LENGTH_DELIMITED:
        head.tenant = reader.text();
        break;
      case (F.principal << 3) | LENGTH_DELIMITED:
        head.principal = reader.text();
        break;
      case (F.originSite << 3) | LENGTH_DELIMITED:
        head.originSite = reader.text();
        break;
      case (F.destinations << 3) | LENGTH_DELIMITED:
        if (head.destinations === NO_STRINGS) head.destinations = [];
        head.destinations.push(reader.string());
        break;
      case F.transit << 3:
        head.transit = reader.varint() !== 0;
        break;
      case (F.key << 3) | LENGTH_DELIMITED:
        head.key = reader.string();
        break;
      case F.ingressTimeUs << 3:
        head.ingressTimeUs = reader.varint();
        break;
      case F.expiryMs << 3:
        head.expiryMs = reader.varint();
        break;
      case F.originPartition << 3:
        head.originPartition = reader.varint();
        break;
      case F.originPosition << 3:
        head.originPosition = reader.varint();
        break;
      case (F.traceparent << 3) | LENGTH_DELIMITED:
        head.traceparent = reader.string();
        break;
      case (F.hops << 3) | LENGTH_DELIMITED:
        if (head.hops === NO_HOPS) head.hops = [];
        head.hops.push(readHop(reader));
        break;
      case (F.handling << 3) | LENGTH_DELIMITED:
        head.handling = readHandling(reader);
        break;
      case (F.event << 3) | LENGTH_DELIMITED:
        head.event = reader.view();
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  return head;
}

const NO_STRINGS: readonly string[] = Object.freeze([]);
const NO_HOPS: readonly Hop[] = Object.freeze([]);

function readHandling(outer: WireReader): Handling {
  const end = outer.span();
  const reader = new WireReader(outer.bytes, outer.at, end);
  outer.at = end;
  const handling = { ...NO_HANDLING };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) handling.policyRevision = reader.varint();
    else if (tag === 0x10) handling.grantsRevision = reader.varint();
    else if (tag === 0x1a) handling.onlySubscription = reader.string();
    else if (tag === 0x20) handling.deliverAtMs = reader.varint();
    else if (tag === 0x28) handling.latePolicy = reader.varint();
    else reader.skip(tag & 7);
  }
  return handling;
}

function readHop(outer: WireReader): Hop {
  const end = outer.span();
  const reader = new WireReader(outer.bytes, outer.at, end);
  outer.at = end;
  let site = '';
  let timeUs = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) site = reader.text();
    else if (tag === 0x10) timeUs = reader.varint();
    else reader.skip(tag & 7);
  }
  return { site, timeUs };
}
