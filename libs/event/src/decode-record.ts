import { Beginnings } from './beginnings.ts';
import { NO_HANDLING, readHandling } from './handling.ts';
import { readHop, type Hop } from './hops.ts';
import { WireReader, asBuffer } from './protobuf.ts';
import { F, type RecordView } from './record.ts';

/** Of a record, while it is read. */
type Fields = { -readonly [K in keyof RecordView]: RecordView[K] } & {
  destinations: string[];
  hops: Hop[];
};

const beginnings = new Beginnings<Fields>();

/**
 * Reads a record in place; `event` shares the input's memory. A beginning that many records share is
 * read once.
 *
 * @throws MeshError InvalidArgument when the bytes are not a record.
 */
export function decodeRecord(encoded: Uint8Array): RecordView {
  const reader = new WireReader(asBuffer(encoded));
  const known = beginnings.find(reader.bytes);
  const fields = known === undefined ? readBeginning(reader) : copyOf(known.fields);
  if (known !== undefined) reader.at = known.bytes.length;
  while (!reader.done) readField(reader, reader.tag(), fields);
  return fields;
}

const LENGTH_DELIMITED = 2;
const EMPTY: Fields = {
  topic: '',
  tenant: '',
  principal: '',
  originSite: '',
  destinations: Object.freeze([]) as readonly string[] as string[],
  transit: false,
  key: '',
  ingressTimeUs: 0,
  expiryMs: 0,
  originPartition: 0,
  originPosition: 0,
  traceparent: '',
  hops: Object.freeze([]) as readonly Hop[] as Hop[],
  handling: NO_HANDLING,
  event: Buffer.alloc(0),
};

/** Reads the fields that records share, as far as they come first. */
function readBeginning(reader: WireReader): Fields {
  const fields = copyOf(EMPTY);
  let length = 0;
  for (; !reader.done; length = reader.at) {
    const tag = reader.tag();
    if (!isShared(tag)) break;
    readField(reader, tag, fields);
  }
  reader.at = length;
  beginnings.learn(reader.bytes, length, copyOf(fields));
  return fields;
}

/** No lists: those are of one record. */
function isShared(tag: number): boolean {
  const field = tag >>> 3;
  return field <= F.originSite || field === F.transit || field === F.handling;
}

function copyOf(fields: Fields): Fields {
  return {
    topic: fields.topic,
    tenant: fields.tenant,
    principal: fields.principal,
    originSite: fields.originSite,
    destinations: fields.destinations,
    transit: fields.transit,
    key: fields.key,
    ingressTimeUs: fields.ingressTimeUs,
    expiryMs: fields.expiryMs,
    originPartition: fields.originPartition,
    originPosition: fields.originPosition,
    traceparent: fields.traceparent,
    hops: fields.hops,
    handling: fields.handling,
    event: fields.event,
  };
}

function readField(reader: WireReader, tag: number, fields: Fields): void {
  switch (tag) {
    case (F.topic << 3) | LENGTH_DELIMITED:
      fields.topic = reader.text();
      break;
    case (F.tenant << 3) | LENGTH_DELIMITED:
      fields.tenant = reader.text();
      break;
    case (F.principal << 3) | LENGTH_DELIMITED:
      fields.principal = reader.text();
      break;
    case (F.originSite << 3) | LENGTH_DELIMITED:
      fields.originSite = reader.text();
      break;
    case (F.destinations << 3) | LENGTH_DELIMITED:
      if (fields.destinations === EMPTY.destinations) fields.destinations = [];
      fields.destinations.push(reader.string());
      break;
    case F.transit << 3:
      fields.transit = reader.varint() !== 0;
      break;
    case (F.key << 3) | LENGTH_DELIMITED:
      fields.key = reader.string();
      break;
    case F.ingressTimeUs << 3:
      fields.ingressTimeUs = reader.varint();
      break;
    case F.expiryMs << 3:
      fields.expiryMs = reader.varint();
      break;
    case F.originPartition << 3:
      fields.originPartition = reader.varint();
      break;
    case F.originPosition << 3:
      fields.originPosition = reader.varint();
      break;
    case (F.traceparent << 3) | LENGTH_DELIMITED:
      fields.traceparent = reader.string();
      break;
    case (F.hops << 3) | LENGTH_DELIMITED:
      if (fields.hops === EMPTY.hops) fields.hops = [];
      fields.hops.push(readHop(reader));
      break;
    case (F.handling << 3) | LENGTH_DELIMITED:
      fields.handling = readHandling(reader);
      break;
    case (F.event << 3) | LENGTH_DELIMITED:
      fields.event = reader.view();
      break;
    default:
      reader.skip(tag & 7);
  }
}
