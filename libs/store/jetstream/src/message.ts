import { MeshError } from '@eventmesh/errors';
import { EventView, asBuffer, attributeText, decodePlace, writeVarint } from '@eventmesh/event';
import type { ProducerMark } from './producer-book.ts';
import { topicToSubject } from './subjects.ts';

/*
 * A record as a NATS message: the CloudEvents NATS binding in binary mode, so that any NATS tool
 * can read it. The payload is the event's data, each attribute a `ce-` header. One more header,
 * `Mesh-Record`, is base64 of what else it takes to have the exact record bytes again:
 *
 *   varint length of the dedup key, dedup key, varint length of the tail, tail, head
 *
 * where record = head + payload + tail. The last message of an idempotent producer's append has
 * `Mesh-Producer: <percent-encoded id> <last sequence>`, that of a session
 * `Mesh-Session: <percent-encoded id> <last sequence> <epoch>`.
 */
const RECORD_HEADER = 'Mesh-Record';
const PRODUCER_HEADER = 'Mesh-Producer';
const SESSION_HEADER = 'Mesh-Session';

export interface EncodedMessage {
  /** Below the partition's base: tenant and topic. */
  readonly subject: string;
  /** Header lines, each with its line end, without the first line and the empty one. */
  readonly headers: string;
  readonly payload: Uint8Array;
}

/** Subject of bytes that are not a record; they are kept as they are. */
const OPAQUE_SUBJECT = '%.%';

export function encodeMessage(record: Uint8Array, dedupKey: string): EncodedMessage {
  const bytes = asBuffer(record);
  const parsed = parse(bytes);
  if (parsed === undefined) {
    return {
      subject: OPAQUE_SUBJECT,
      headers: rest(bytes, 0, bytes.length, dedupKey),
      payload: bytes,
    };
  }
  const { head, event } = parsed;
  const data = event.data?.bytes;
  const from = data === undefined ? bytes.length : data.byteOffset - bytes.byteOffset;
  const to = from + (data?.length ?? 0);
  let headers =
    `ce-specversion: ${escapeValue(event.specVersion)}\r\nce-id: ${escapeValue(event.id)}\r\n` +
    `ce-source: ${escapeValue(event.source)}\r\nce-type: ${escapeValue(event.type)}\r\n`;
  for (const [name, value] of event.attributes) {
    headers += `ce-${name}: ${escapeValue(attributeText(value))}\r\n`;
  }
  return {
    subject: `${topicToSubject(head.tenant)}.${topicToSubject(head.topic)}`,
    headers: headers + rest(bytes, from, to, dedupKey),
    payload: bytes.subarray(from, to),
  };
}

/** The header line on the last message of a numbered append. */
export function markLine(mark: ProducerMark): string {
  const id = encodeURIComponent(mark.id);
  if (mark.kind === 'sequence') return `${PRODUCER_HEADER}: ${id} ${mark.last}\r\n`;
  return `${SESSION_HEADER}: ${id} ${mark.state.last} ${mark.state.epoch}\r\n`;
}

/** The mark on the message at a position, if it carries one. */
export function markOf(get: (name: string) => string, at: number): ProducerMark | undefined {
  const sequence = get(PRODUCER_HEADER);
  if (sequence !== '') {
    const [id = '', last = '0'] = sequence.split(' ');
    return { kind: 'sequence', id: decodeURIComponent(id), last: Number(last) };
  }
  const session = get(SESSION_HEADER);
  if (session === '') return undefined;
  const [id = '', last = '0', epoch = '0'] = session.split(' ');
  const state = { epoch: Number(epoch), last: Number(last), at };
  return { kind: 'session', id: decodeURIComponent(id), state };
}

export interface DecodedHeaders {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly dedupKey: string;
}

/**
 * Reads the mesh's headers of a stored message.
 *
 * @throws MeshError DataLoss when there are none.
 */
export function decodeHeaders(get: (name: string) => string): DecodedHeaders {
  const packed = Buffer.from(get(RECORD_HEADER), 'base64');
  if (packed.length < 2) {
    throw new MeshError('DataLoss', 'a message in the stream was not written by the mesh', {
      reason: 'FOREIGN_MESSAGE',
    });
  }
  let at = 0;
  const length = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = packed[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const keyEnd = length() + at;
  const dedupKey = packed.utf8Slice(at, keyEnd);
  at = keyEnd;
  const tailEnd = length() + at;
  const tail = packed.subarray(at, tailEnd);
  return { head: packed.subarray(tailEnd), tail, dedupKey };
}

export function joinRecord({ head, tail }: DecodedHeaders, payload: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(head.length + payload.length + tail.length);
  record.set(head, 0);
  record.set(payload, head.length);
  record.set(tail, head.length + payload.length);
  return record;
}

function parse(bytes: Buffer) {
  try {
    const head = decodePlace(bytes);
    const event = new EventView(head.event);
    // Attributes decode on first use and may fail too; tenant and topic make the subject.
    return event.attributes.size >= 0 && head.tenant !== '' && head.topic !== ''
      ? { head, event }
      : undefined;
  } catch (error) {
    // Not a record: kept as opaque bytes, as every store does. Anything else is a fault.
    if (error instanceof MeshError && error.code === 'InvalidArgument') return undefined;
    throw error;
  }
}

/** The `Mesh-Record` line for a record whose payload lies at [from, to). */
function rest(record: Buffer, from: number, to: number, dedupKey: string): string {
  const keyLength = Buffer.byteLength(dedupKey);
  const tailLength = record.length - to;
  const size = LENGTHS_MAX + keyLength + tailLength + from;
  const packed = size <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(size);
  let at = writeVarint(packed, 0, keyLength);
  at += packed.write(dedupKey, at);
  at = writeVarint(packed, at, tailLength);
  at += record.copy(packed, at, to);
  at += record.copy(packed, at, 0, from);
  return `${RECORD_HEADER}: ${packed.toString('base64', 0, at)}\r\n`;
}

/** Where the parts of a header come together before they are encoded; used within one call. */
const SCRATCH = Buffer.allocUnsafeSlow(16 * 1024);
/** Most bytes of the two lengths. */
const LENGTHS_MAX = 20;

/** CloudEvents NATS binding, header values: all but printable ASCII, and space, `"` and `%`. */
const UNSAFE_VALUE = /[^\x21\x23\x24\x26-\x7e]/;
const UNSAFE_VALUES = /[^\x21\x23\x24\x26-\x7e]+/gu;

function escapeValue(value: string): string {
  if (!UNSAFE_VALUE.test(value)) return value;
  return value.replace(UNSAFE_VALUES, (part) =>
    [...Buffer.from(part)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
