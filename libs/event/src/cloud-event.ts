import { invalid } from '@eventmesh/errors';
import { parseJsonData } from './json-data.ts';
import { WireReader, asBuffer } from './protobuf.ts';

/**
 * A CloudEvents attribute value (CloudEvents 1.0 type system). `uri`, `uri-reference` and
 * `timestamp` keep their kind so that an event leaves the mesh as it came.
 */
export type AttributeValue =
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly value: number }
  | { readonly kind: 'string' | 'uri' | 'uri-reference'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'timestamp'; readonly seconds: number; readonly nanos: number };

/** `binary` is opaque, `text` is UTF-8 by the producer's word, `proto` a google.protobuf.Any. */
export interface EventData {
  readonly kind: 'binary' | 'text' | 'proto';
  /** A view of the event's own bytes; never written to. */
  readonly bytes: Uint8Array;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * A CloudEvent read in place from its protobuf encoding (io.cloudevents.v1.CloudEvent). One pass
 * notes where the fields lie; attributes are decoded when asked for; data is never copied. The
 * bytes belong to the view and must not change while it lives.
 */
export class EventView {
  readonly bytes: Buffer;
  id = '';
  source = '';
  specVersion = '';
  type = '';
  #data: EventData | undefined;
  /** Start and end of each attribute entry, one after the other. */
  readonly #entries: number[] = [];
  #attributes: Map<string, AttributeValue> | undefined;
  #json: { readonly value: unknown } | undefined;

  /** @throws MeshError InvalidArgument when the bytes are not a CloudEvent message. */
  constructor(encoded: Uint8Array) {
    this.bytes = asBuffer(encoded);
    const reader = new WireReader(this.bytes);
    while (!reader.done) this.#field(reader, reader.tag());
  }

  get data(): EventData | undefined {
    return this.#data;
  }

  /** Data as a JSON value, parsed on first use; undefined as `parseJsonData` has it. */
  get json(): unknown {
    this.#json ??= { value: parseJsonData(this.#data, this.text('datacontenttype')) };
    return this.#json.value;
  }

  /** How many attribute entries the message has; known without decoding any. */
  get attributeCount(): number {
    return this.#entries.length / 2;
  }

  /** The optional and extension attributes by name, decoded on first use. */
  get attributes(): ReadonlyMap<string, AttributeValue> {
    if (this.#attributes === undefined) {
      const attributes = new Map<string, AttributeValue>();
      for (let i = 0; i < this.#entries.length; i += 2) {
        const span = { start: this.#entries[i] ?? 0, end: this.#entries[i + 1] ?? 0 };
        readEntry(this.bytes, span, attributes);
      }
      this.#attributes = attributes;
    }
    return this.#attributes;
  }

  /** An optional or extension attribute as its canonical string, or undefined when absent. */
  text(name: string): string | undefined {
    const value = this.attributes.get(name);
    return value === undefined ? undefined : attributeText(value);
  }

  #setData(kind: EventData['kind'], bytes: Buffer): void {
    // Protobuf lets the last one win; a consumer that takes the first would see another event.
    if (this.#data !== undefined) throw invalid('data', 'is there twice');
    this.#data = { kind, bytes };
  }

  #field(reader: WireReader, tag: number): void {
    switch (tag) {
      case 0x0a:
        this.id = reader.string();
        break;
      case 0x12:
        this.source = reader.text();
        break;
      case 0x1a:
        this.specVersion = reader.text();
        break;
      case 0x22:
        this.type = reader.text();
        break;
      case 0x2a: {
        const end = reader.span();
        this.#entries.push(reader.at, end);
        reader.at = end;
        break;
      }
      case 0x32:
        this.#setData('binary', reader.view());
        break;
      case 0x3a:
        this.#setData('text', reader.view());
        break;
      case 0x42:
        this.#setData('proto', reader.view());
        break;
      default:
        reader.skipUnknown(tag, 8);
    }
  }
}

function readEntry(bytes: Buffer, span: Span, into: Map<string, AttributeValue>): void {
  const reader = new WireReader(bytes, span.start, span.end);
  let name = '';
  let value: AttributeValue | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) name = reader.text();
    else if (tag === 0x12) {
      const end = reader.span();
      value = readValue(new WireReader(bytes, reader.at, end)) ?? value;
      reader.at = end;
    } else reader.skipUnknown(tag, 2);
  }
  if (value === undefined) throw invalid(name === '' ? 'attributes' : name, 'has no value');
  into.set(name, value);
}

/**
 * Decodes an attribute's value (CloudEventAttributeValue); undefined when it holds none.
 *
 * @throws MeshError InvalidArgument when the bytes are none.
 */
export const decodeAttribute = (bytes: Buffer, { start, end }: Span): AttributeValue | undefined =>
  readValue(new WireReader(bytes, start, end));

function readValue(reader: WireReader): AttributeValue | undefined {
  let value: AttributeValue | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) value = { kind: 'boolean', value: reader.varint() !== 0 };
    else if (tag === 0x10) value = { kind: 'integer', value: int32(reader) };
    else if (tag === 0x1a) value = { kind: 'string', value: reader.text() };
    else if (tag === 0x22) value = { kind: 'bytes', value: reader.view() };
    else if (tag === 0x2a) value = { kind: 'uri', value: reader.string() };
    else if (tag === 0x32) value = { kind: 'uri-reference', value: reader.string() };
    else if (tag === 0x3a) {
      const end = reader.span();
      value = readTimestamp(new WireReader(reader.bytes, reader.at, end));
      reader.at = end;
    } else reader.skipUnknown(tag, 7);
  }
  return value;
}

function readTimestamp(reader: WireReader): AttributeValue {
  let seconds = 0;
  let nanos = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) seconds = int64(reader);
    else if (tag === 0x10) nanos = reader.varint();
    else reader.skipUnknown(tag, 2);
  }
  return checkedTimestamp(seconds, nanos, 'attributes');
}

/** Bounds of google.protobuf.Timestamp: the years 1 to 9999. */
const SECONDS_MIN = -62_135_596_800;
const SECONDS_MAX = 253_402_300_799;

function checkedTimestamp(
  seconds: number,
  nanos: number,
  field: string,
): AttributeValue & { kind: 'timestamp' } {
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos > 999_999_999) {
    throw invalid(field, 'a timestamp is out of bounds', {
      limit: '0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z',
    });
  }
  return { kind: 'timestamp', seconds, nanos };
}

/** Negative int32 and int64 come as ten-byte varints in two's complement. */
function int32(reader: WireReader): number {
  return Number(BigInt.asIntN(32, bigVarint(reader)));
}

function int64(reader: WireReader): number {
  return Number(BigInt.asIntN(64, bigVarint(reader)));
}

function bigVarint(reader: WireReader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined || reader.at > reader.end) {
      throw invalid('protobuf', 'the message is truncated');
    }
    // The tenth byte has room for the 64th bit alone.
    if (shift === 63n && byte > 1) break;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw invalid('protobuf', 'a varint is longer than 64 bits');
}

/** The canonical string of an attribute value (CloudEvents 1.0, type system). */
export function attributeText(value: AttributeValue): string {
  switch (value.kind) {
    case 'boolean':
      return value.value ? 'true' : 'false';
    case 'integer':
      return String(value.value);
    case 'bytes':
      return asBuffer(value.value).toString('base64');
    case 'timestamp':
      return timestampText(value.seconds, value.nanos);
    default:
      return value.value;
  }
}

/** RFC 3339 in UTC, with as many fraction digits (0, 3, 6 or 9) as the value needs. */
export function timestampText(seconds: number, nanos: number): string {
  const base = secondText(seconds);
  if (nanos === 0) return `${base}Z`;
  const digits = nanos % 1_000_000 === 0 ? 3 : nanos % 1000 === 0 ? 6 : 9;
  return `${base}.${String(nanos).padStart(9, '0').slice(0, digits)}Z`;
}

/** Events come many a second: the last one's text mostly is the next one's. */
function secondText(seconds: number): string {
  if (seconds !== lastSecond.seconds) {
    lastSecond = { seconds, text: new Date(seconds * 1000).toISOString().slice(0, 19) };
  }
  return lastSecond.text;
}

let lastSecond = { seconds: 0, text: '1970-01-01T00:00:00' };

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Parses an RFC 3339 timestamp to the nanosecond.
 *
 * @throws MeshError InvalidArgument that names `field`.
 */
export function parseTimestamp(
  text: string,
  field: string,
): AttributeValue & { kind: 'timestamp' } {
  const match = RFC3339.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(isoWithoutFraction(text, match));
  const day = Number(match?.[3]);
  const daysInMonth = new Date(Date.UTC(Number(match?.[1]), Number(match?.[2]), 0)).getUTCDate();
  if (match === null || Number.isNaN(ms) || day > daysInMonth) {
    throw invalid(field, `"${text}" is not an RFC 3339 timestamp such as 2024-05-01T12:00:00Z`);
  }
  return checkedTimestamp(ms / 1000, Number((match[7] ?? '').padEnd(9, '0')), field);
}

function isoWithoutFraction(text: string, match: RegExpExecArray): string {
  return text.slice(0, 19).toUpperCase() + (match[8] ?? '').toUpperCase();
}
