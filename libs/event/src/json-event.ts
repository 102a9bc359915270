import { isUtf8 } from 'node:buffer';
import { MeshError, invalid } from '@eventmesh/errors';
import { encodeEvent } from './build-event.ts';
import {
  attributeText,
  parseTimestamp,
  type AttributeValue,
  type EventData,
  type EventView,
} from './cloud-event.ts';
import { JsonScanner, isJsonText } from './json-scan.ts';
import { isJsonContentType, isTextContentType } from './media-type.ts';

/** Bounds of the JSON forms, checked before anything is built from the text. */
export interface JsonEventLimits {
  /** Members of one event's object: attributes and data. */
  readonly membersMax: number;
  /** Events of one batch. */
  readonly eventsMax: number;
}

export const JSON_EVENT_LIMITS: JsonEventLimits = Object.freeze({
  membersMax: 96,
  eventsMax: 1000,
});

/**
 * Turns an event in the CloudEvents JSON format 1.0.2 into its protobuf encoding. JSON `data` is kept
 * as the exact bytes of its text, `data_base64` as the bytes it stands for, a string under another
 * content type as its UTF-8. Attributes are not checked beyond the format: `checkEvent` does that.
 *
 * @throws MeshError InvalidArgument that names `json` or the attribute.
 */
export function decodeJsonEvent(
  json: Uint8Array,
  limits: JsonEventLimits = JSON_EVENT_LIMITS,
): Buffer {
  const scanner = new JsonScanner(json);
  const required = { id: '', source: '', type: '', specversion: '' };
  const attributes = new Map<string, AttributeValue>();
  let data: Buffer | undefined;
  let base64: string | undefined;
  scanner.object((name) => {
    if (name === 'data') data = scanner.value();
    else if (name === 'data_base64') base64 = stringOrNull(scanner, name);
    else if (Object.hasOwn(required, name)) {
      required[name as keyof typeof required] = stringOrNull(scanner, name) ?? '';
    } else {
      const value = readAttribute(scanner, name);
      if (value !== undefined) attributes.set(name, value);
    }
  }, limits.membersMax);
  scanner.end();
  if (data !== undefined && base64 !== undefined) {
    throw invalid('data_base64', 'excludes data (JSON format, 3.1.1)');
  }
  const payload =
    data !== undefined
      ? jsonData(data, attributes)
      : base64 !== undefined
        ? { kind: 'binary' as const, bytes: decodeBase64(base64) }
        : undefined;
  return encodeEvent({
    id: required.id,
    source: required.source,
    type: required.type,
    specVersion: required.specversion,
    attributes,
    ...(payload === undefined ? {} : { data: payload }),
  });
}

/**
 * Reads a batch in the CloudEvents JSON batch format 1.0.2. A faulty event does not spoil the others:
 * its place in the answer has the error, whose field starts with `events[index]`.
 *
 * @throws MeshError InvalidArgument when the text is no JSON array or has too many items.
 */
export function decodeJsonBatch(
  json: Uint8Array,
  limits: JsonEventLimits = JSON_EVENT_LIMITS,
): (Buffer | MeshError)[] {
  const scanner = new JsonScanner(json);
  const events: (Buffer | MeshError)[] = [];
  scanner.array((index) => {
    const text = scanner.value();
    try {
      events.push(decodeJsonEvent(text, limits));
    } catch (error) {
      events.push(inBatch(MeshError.from(error), index));
    }
  }, limits.eventsMax);
  scanner.end();
  return events;
}

/** The same error, told of an event's place in its batch. */
export function inBatch(error: MeshError, index: number): MeshError {
  const { field } = error.details;
  const place = `events[${index}]${field === undefined ? '' : `.${field}`}`;
  return new MeshError(error.code, `events[${index}]: ${error.message}`, {
    ...error.details,
    field: place,
  });
}

/**
 * Why an atomic batch is refused as a whole, with the place of the event at fault; undefined when none
 * is.
 */
export function atomicFault(outcomes: readonly unknown[]): MeshError | undefined {
  const index = outcomes.findIndex((outcome) => outcome instanceof MeshError);
  const fault = outcomes[index];
  if (!(fault instanceof MeshError)) return undefined;
  const { code, message, details } = inBatch(fault, index);
  return new MeshError(code, `the atomic batch is refused as a whole: ${message}`, details);
}

function stringOrNull(scanner: JsonScanner, name: string): string | undefined {
  if (scanner.peek() === 0x22) return named(name, () => scanner.string());
  // JSON format, 2.2: null is the same as not set.
  if (scanner.value().toString('latin1') === 'null') return undefined;
  throw invalid(name, 'must be a string');
}

function named<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(name, MeshError.from(error).message);
  }
}

/** The name of a member decides nothing but `time`; the JSON type does (JSON format, 2.2). */
function readAttribute(scanner: JsonScanner, name: string): AttributeValue | undefined {
  if (scanner.peek() === 0x22) {
    const text = named(name, () => scanner.string());
    return name === 'time' ? parseTimestamp(text, name) : { kind: 'string', value: text };
  }
  const value = scanner.value();
  const text = value.length > 12 ? '' : value.latin1Slice(0, value.length);
  if (text === 'null') return undefined;
  if (name === 'time') throw invalid(name, 'must be a string');
  if (text === 'true' || text === 'false') return { kind: 'boolean', value: text === 'true' };
  const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number === (number | 0)) return { kind: 'integer', value: number | 0 };
  throw invalid(name.slice(0, 64), 'must be a string, a boolean or an integer', {
    limit: '-2147483648 to 2147483647',
  });
}

function jsonData(raw: Buffer, attributes: Map<string, AttributeValue>): EventData {
  const type = attributes.get('datacontenttype');
  // JSON format, 3.1.2: without a content type it is JSON, and says so in every other form.
  if (type === undefined) {
    attributes.set('datacontenttype', { kind: 'string', value: 'application/json' });
    return { kind: 'text', bytes: raw };
  }
  if (isJsonContentType(attributeText(type))) return { kind: 'text', bytes: raw };
  if (raw[0] !== 0x22) throw invalid('data', 'must be a string: datacontenttype is not JSON');
  const text = named('data', () => new JsonScanner(raw).string());
  return { kind: 'text', bytes: Buffer.from(text, 'utf8') };
}

function decodeBase64(text: string): Buffer {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw invalid('data_base64', 'is not Base64 (RFC 4648, section 4)');
  }
  return Buffer.from(text, 'base64');
}

/**
 * Writes an event in the CloudEvents JSON format 1.0.2. Its data can always be had back byte for byte
 * from the result: JSON is put in as it stands (white space round it aside), text as a string, all
 * else as `data_base64`, protobuf data as the bytes of its google.protobuf.Any.
 */
export function encodeJsonEvent(event: EventView): Buffer {
  let head =
    `{"specversion":${JSON.stringify(event.specVersion)},"id":${JSON.stringify(event.id)}` +
    `,"source":${JSON.stringify(event.source)},"type":${JSON.stringify(event.type)}`;
  for (const [name, value] of event.attributes) {
    head += `,${JSON.stringify(name)}:${attributeJson(value)}`;
  }
  const { data } = event;
  if (data === undefined) return Buffer.from(`${head}}`);
  switch (dataForm(data, event.text('datacontenttype'))) {
    case 'json':
      return Buffer.concat([Buffer.from(`${head},"data":`), data.bytes, CLOSE]);
    case 'text':
      return Buffer.from(`${head},"data":${JSON.stringify(utf8(data.bytes))}}`);
    case 'base64':
      return Buffer.from(`${head},"data_base64":"${Buffer.from(data.bytes).toString('base64')}"}`);
  }
}

/** Writes encoded events as a JSON batch. */
export function encodeJsonBatch(events: readonly EventView[]): Buffer {
  const parts: Buffer[] = [];
  for (const event of events) parts.push(parts.length === 0 ? OPEN : COMMA, encodeJsonEvent(event));
  return Buffer.concat([...(parts.length === 0 ? [OPEN] : parts), Buffer.from(']')]);
}

const CLOSE = Buffer.from('}');
const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function attributeJson(value: AttributeValue): string {
  if (value.kind === 'boolean' || value.kind === 'integer') return String(value.value);
  return JSON.stringify(attributeText(value));
}

function dataForm(data: EventData, contentType: string | undefined): 'json' | 'text' | 'base64' {
  if (data.kind === 'proto') return 'base64';
  // Without a content type `data` would be read as JSON, so only a producer's text may be that.
  if (contentType === undefined) {
    return data.kind === 'text' && isJsonText(data.bytes) ? 'json' : 'base64';
  }
  if (isJsonContentType(contentType)) return isJsonText(data.bytes) ? 'json' : 'base64';
  const text = data.kind === 'text' || isTextContentType(contentType);
  return text && isUtf8(data.bytes) ? 'text' : 'base64';
}
