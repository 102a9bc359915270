import { asBuffer } from '@eventmesh/event';
import type { Msg } from '@nats-io/nats-core';

/** What the NATS client keeps of a message before it decodes the headers. */
interface Undecoded {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown };
}

/**
 * Reads single headers without decoding all of them into a map, which costs more than the whole
 * rest of a read. Falls back on the client's own accessor when a message is not laid out as known.
 */
export function headerReader(message: Msg): (name: string) => string {
  const { _rdata: bytes, _msg: info } = message as unknown as Undecoded;
  const length = info?.hdr;
  if (!(bytes instanceof Uint8Array) || typeof length !== 'number' || length <= 0) {
    return (name) => message.headers?.get(name) ?? '';
  }
  const block = asBuffer(bytes).latin1Slice(0, length);
  return (name) => {
    const start = block.indexOf(`\r\n${name}: `);
    if (start === -1) return '';
    const from = start + name.length + 4;
    return block.slice(from, block.indexOf('\r\n', from));
  };
}

/** Status of a message that carries no data (100, 404, 408, 409, 503); 0 for a stored one. */
export function statusCode(message: Msg): number {
  // A status has no payload and a short header; a stored message's header has a line of ours.
  return message.data.length === 0 && !message.reply?.startsWith('$JS.ACK')
    ? (message.headers?.code ?? 0)
    : 0;
}

/** Position and number of messages after it, from the reply subject of a delivered message. */
export function deliveryOf(message: Msg): { readonly position: number; readonly pending: number } {
  // $JS.ACK.stream.consumer.delivered.position.consumer-sequence.time.pending, or with domain and
  // account before the stream and a token at the end.
  const tokens = (message.reply ?? '').split('.');
  const shift = tokens.length > 9 ? 2 : 0;
  return { position: Number(tokens[5 + shift]), pending: Number(tokens[8 + shift]) };
}
