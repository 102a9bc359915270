import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { Server } from 'node:net';
import { MeshError } from '@eventmesh/errors';
import { PreEncoded } from './pre-encoded.ts';

const ELSEWHERE = 'this version of grpc-js keeps the parts of a call elsewhere';
/** Pieces of a message are put together up to this size. */
const PIECE_BYTES = 8 * 1024;

/** What puts a message together of the pieces it comes in. */
interface Decoder {
  maxReadMessageLength: number;
  readPartialMessage: Buffer[];
  readonly readMessageSize: number;
  /** What is to come of the message that has begun; 0 between two messages. */
  readonly readMessageRemaining: number;
  /** Takes what has come and gives the messages that are whole by it. */
  write(data: Buffer): Buffer[];
}

/** The parts of a call of grpc-js that it has no name for in its interface. */
interface Inside {
  readonly stream: ServerHttp2Stream;
  readonly decoder: Decoder;
  /** Whether the status goes behind messages that have been sent. */
  readonly wantTrailers: boolean;
}

/**
 * grpc-js has one limit of a message for all methods of a server; a smaller one for one method can
 * be set at the decoder of the call only.
 */
export function limitMessages(call: object, bytes: number): void {
  insideOf(call).decoder.maxReadMessageLength = bytes;
}

/** Sends what is encoded with its prefix as it is: grpc-js would copy the message behind one. */
export function sendFrames(call: object): void {
  if (!canSerialize(call)) throw new MeshError('Internal', ELSEWHERE);
  const serialize = call.serializeMessage.bind(call);
  call.serializeMessage = (message) =>
    message instanceof PreEncoded ? message.frame : serialize(message);
}

/** @returns a message behind its prefix. */
type Serialize = (message: unknown) => Buffer;

const canSerialize = (call: object): call is { serializeMessage: Serialize } =>
  'serializeMessage' in call && typeof call.serializeMessage === 'function';

/**
 * Tells at each change how many bytes are kept of a message that has not come whole.
 *
 * @returns what drops them, and whatever comes later.
 */
export function watchUnfinished(call: object, told: (bytes: number) => void): () => void {
  const { decoder } = insideOf(call);
  const write = decoder.write.bind(decoder);
  let kept = 0;
  let dropped = false;
  const drop = () => {
    dropped = true;
    decoder.readPartialMessage = [];
    decoder.write = () => [];
  };
  decoder.write = (data) => {
    const messages = write(data);
    const { readMessageRemaining } = decoder;
    const bytes = readMessageRemaining === 0 ? 0 : decoder.readMessageSize - readMessageRemaining;
    // grpc-js keeps the pieces of a message until the next one begins.
    if (bytes === 0) decoder.readPartialMessage = [];
    else gather(decoder.readPartialMessage);
    if (bytes !== kept) told((kept = bytes));
    return dropped ? [] : messages;
  };
  return drop;
}

/**
 * Puts the last pieces together when they are small: each costs memory of its own, and keeps all that
 * was read with it. So the pieces that stay take little more than their bytes, and each byte is copied
 * a few times at most.
 */
function gather(pieces: Buffer[]): void {
  let count = 0;
  let bytes = 0;
  for (let next = pieces.at(-1); next !== undefined; next = pieces.at(-1 - count)) {
    if (count > 0 && (next.length > 2 * bytes || next.length + bytes > PIECE_BYTES)) break;
    count++;
    bytes += next.length;
  }
  if (bytes >= PIECE_BYTES) return;
  // Not of Node's pool, which would be kept with it.
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const piece of pieces.splice(-count)) at += piece.copy(whole, at);
  pieces.push(whole);
}

/** The servers below a server of grpc-js that listens, one for each address. */
export function listenersOf(server: object): Server[] {
  const listeners: unknown = 'http2Servers' in server ? server.http2Servers : undefined;
  const found = listeners instanceof Map ? [...listeners.keys()] : [];
  if (found.length > 0 && found.every((each) => each instanceof Server)) return found;
  throw new MeshError('Internal', 'this version of grpc-js keeps its listeners elsewhere');
}

/**
 * Lets so many bytes be on their way to the server on the connection of a call, and in each of its
 * calls: grpc-js has an option for it at the client only, where it is for answers.
 */
export function widenWindows(call: object, bytes: number): void {
  const { session } = insideOf(call).stream;
  if (session === undefined || session.localSettings.initialWindowSize === bytes) return;
  session.settings({ initialWindowSize: bytes });
  // Of a session of a server, which its streams have by a wider type.
  (session as ServerHttp2Session).setLocalWindowSize(bytes);
}

/**
 * Closes what a caller would leave open: after a status grpc-js waits for the caller to end its
 * side, and keeps what has come of its message as long as that takes.
 */
export function closeAfterStatus(call: object): void {
  const { stream, wantTrailers } = insideOf(call);
  const close = () => stream.close(constants.NGHTTP2_NO_ERROR);
  // Node sends trailers in the next turn after they were asked for.
  if (wantTrailers) stream.once('wantTrailers', () => setImmediate(close));
  else close();
}

function insideOf(call: object): Inside {
  if (hasInside(call)) return call;
  throw new MeshError('Internal', ELSEWHERE);
}

const hasInside = (call: object): call is Inside =>
  'stream' in call &&
  'wantTrailers' in call &&
  'decoder' in call &&
  typeof call.decoder === 'object' &&
  call.decoder !== null &&
  'maxReadMessageLength' in call.decoder &&
  'readMessageRemaining' in call.decoder;
