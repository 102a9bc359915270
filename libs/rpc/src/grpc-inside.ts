import { constants, type ServerHttp2Stream } from 'node:http2';
import { MeshError } from '@eventmesh/errors';

/** The two parts of a call of grpc-js that it has no name for in its interface. */
interface Inside {
  readonly stream: ServerHttp2Stream;
  readonly decoder: { maxReadMessageLength: number };
}

/**
 * grpc-js has one limit of a message for all methods of a server; a smaller one for one method can
 * be set at the decoder of the call only.
 */
export function limitMessages(call: object, bytes: number): void {
  insideOf(call).decoder.maxReadMessageLength = bytes;
}

/**
 * Closes what a caller would leave open: after a status grpc-js waits for the caller to end its
 * side, and keeps what has come of its message as long as that takes.
 */
export function closeAfterStatus(call: object): void {
  insideOf(call).stream.close(constants.NGHTTP2_NO_ERROR);
}

function insideOf(call: object): Inside {
  if (hasInside(call)) return call;
  throw new MeshError('Internal', 'this version of grpc-js keeps stream and decoder elsewhere');
}

const hasInside = (call: object): call is Inside =>
  'stream' in call &&
  'decoder' in call &&
  typeof call.decoder === 'object' &&
  call.decoder !== null &&
  'maxReadMessageLength' in call.decoder;
