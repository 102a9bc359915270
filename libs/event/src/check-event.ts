import { invalid, tooLarge } from '@eventmesh/errors';
import { EventView } from './cloud-event.ts';

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
const REQUIRED = new Set(['id', 'source', 'type', 'specversion', 'data']);

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
    throw invalid('specversion', `"${event.specVersion}" is not supported; use 1.0`);
  }
  checkText('id', event.id, event);
  checkText('source', event.source, event);
  checkText('type', event.type, event);
  if (event.attributes.size > limits.attributesMax) {
    throw invalid('attributes', `the event has ${event.attributes.size}`, {
      limit: `${limits.attributesMax} attributes`,
    });
  }
  for (const name of event.attributes.keys()) checkAttribute(name, event);
  return event;
}

function checkAttribute(name: string, event: EventView): void {
  if (!ATTRIBUTE_NAME.test(name)) {
    throw invalid(name, 'an attribute name is 1 to 64 lower-case letters a-z and digits');
  }
  if (REQUIRED.has(name)) throw invalid(name, 'is not a name for an extension attribute');
  if (RESERVED.test(name)) throw invalid(name, 'names that start with "mesh" belong to the mesh');
  const value = event.attributes.get(name);
  if (value !== undefined && 'value' in value && typeof value.value === 'string') {
    checkText(name, value.value, event, name !== 'partitionkey');
  }
  if (name === 'time' && value?.kind !== 'timestamp') throw invalid('time', 'is not a timestamp');
}

// CloudEvents 1.0, String: no control characters, no surrogates, no noncharacters.
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/;

function checkText(name: string, text: string, event: EventView, mayBeEmpty = false): void {
  if (text === '' && !mayBeEmpty) throw invalid(name, 'is missing or empty');
  if (FORBIDDEN.test(text)) throw invalid(name, 'has a character that CloudEvents forbids');
  // Broken UTF-8 decodes to U+FFFD, whose own encoding then is not among the event's bytes.
  if (text.includes('\ufffd') && !event.bytes.includes(text, 0, 'utf8')) {
    throw invalid(name, 'is not valid UTF-8');
  }
}
