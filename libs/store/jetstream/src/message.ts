import { MeshError } from '@eventmesh/errors';
import type { ProducerMark } from './producer-book.ts';

/*
 * A record as a NATS message: the CloudEvents NATS binding in binary mode, so that any NATS tool
 * can read it. The payload is the event's data, each attribute a `ce-` header. One more header,
 * `Mesh-Record`, is base64 of what else it takes to have the exact record bytes again:
 *
 *   varint length of the dedup key, dedup key, varint length of the tail, tail, head
 *
 * where record = head + payload + tail. A record with more beside its data than the header of a
 * message takes is all payload, without `ce-` headers. The last message of an idempotent producer's
 * append has `Mesh-Producer: <percent-encoded id> <last sequence>`, that of a session
 * `Mesh-Session: <percent-encoded id> <last sequence> <epoch>`.
 */
export const RECORD_HEADER = 'Mesh-Record';
const PRODUCER_HEADER = 'Mesh-Producer';
const SESSION_HEADER = 'Mesh-Session';

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
