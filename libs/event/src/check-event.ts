import { isUtf8 } from 'node:buffer';
import { invalid, tooLarge } from '@eventmesh/errors';
import { EventView, type EventData } from './cloud-event.ts';
import { WireReader, asBuffer } from './protobuf.ts';

/** What an event may be at most. The values are config keys of the emesher. */
export interface EventLimits {
  /** Whole event in its protobuf encoding, in bytes. */
  readonly eventBytesMax: number;
  /** Optional and extension attributes. */
  readonly attributesMax: number;
}

export const DEFAULT_EVENT_LIMITS: EventLimits = Object.freeze({
  eventBytesMax: 1024 * 1024,
  attributesMax: 64,
});

/** CloudEvents 1.0, naming conventions: lower-case letters and digits of the ASCII set. */
const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/;

/** Attributes that only the mesh may set; a client's are refused, never passed through. */
const RESERVED = /^mesh/;
// `constructor` would poison the objects of careless consumers.
const NOT_EXTENSIONS = new Set(['id', 'source', 'type', 'specversion', 'data', 'constructor']);

/**
 * Checks the size before anything is read, then that the bytes are a CloudEvents 1.0 event.
 *
 * @throws MeshError PayloadTooLarge or InvalidArgument that names the attribute.
 */
export function checkEvent(
  encoded: Uint8Array,
  limits: EventLimits = DEFAULT_EVENT_LIMITS,
): EventView {
  if (encoded.length > limits.eventBytesMax) {
    throw tooLarge(
      'event',
      `has ${encoded.length} bytes; the limit is ${limits.eventBytesMax}`,
      `${limits.eventBytesMax} bytes`,
    );
  }
  const event = new EventView(encoded);
  if (event.specVersion !== '1.0') {
    const given =
      event.specVersion === '' ? 'is missing' : `"${brief(event.specVersion)}" is not known`;
    throw invalid('specversion', `${given}; use 1.0`);
  }
  checkText('id', event.id);
  checkText('source', event.source);
  checkText('type', event.type);
  if (event.attributeCount > limits.attributesMax) {
    throw invalid('attributes', `the event has ${event.attributeCount}`, {
      limit: `${limits.attributesMax} attributes`,
    });
  }
  for (const name of event.attributes.keys()) checkAttribute(name, event);
  if (event.data !== undefined) checkData(event.data);
  return event;
}

/** What a foreign consumer's decoder would choke on must not get in. */
function checkData(data: EventData): void {
  if (data.kind === 'text' && !isUtf8(data.bytes)) {
    throw invalid('data', 'text_data is not valid UTF-8; send other bytes as binary_data');
  }
  if (data.kind === 'proto') checkAny(asBuffer(data.bytes));
}

/** google.protobuf.Any: a type URL and bytes. */
function checkAny(bytes: Buffer): void {
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) reader.string();
    else if (tag === 0x12) reader.view();
    else reader.skipUnknown(tag, 2);
  }
}

function checkAttribute(name: string, event: EventView): void {
  if (!ATTRIBUTE_NAME.test(name)) {
    throw invalid(brief(name), 'an attribute name is 1 to 64 lower-case letters a-z and digits');
  }
  if (NOT_EXTENSIONS.has(name)) throw invalid(name, 'is not a name for an extension attribute');
  if (RESERVED.test(name)) throw invalid(name, 'names that start with "mesh" belong to the mesh');
  const value = event.attributes.get(name);
  if (value !== undefined && 'value' in value && typeof value.value === 'string') {
    checkText(name, value.value, name !== 'partitionkey');
  }
  if (name === 'time' && value?.kind !== 'timestamp') throw invalid('time', 'is not a timestamp');
}

/** Enough of a hostile text to recognise it by. */
const brief = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}…` : text);

// CloudEvents 1.0, String: no control characters, no noncharacters.
const FORBIDDEN = /[\p{Cc}\p{Noncharacter_Code_Point}]/u;

function checkText(name: string, text: string, mayBeEmpty = false): void {
  if (text === '' && !mayBeEmpty) throw invalid(name, 'is missing or empty');
  if (FORBIDDEN.test(text)) throw invalid(name, 'has a character that CloudEvents forbids');
}
