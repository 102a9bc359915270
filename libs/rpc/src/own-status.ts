import { MeshError, codeFromGrpcStatus, invalid, tooLarge } from '@eventmesh/errors';
import {
  status as GrpcCode,
  type ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
} from '@grpc/grpc-js';
import { MESSAGE_BYTES_MAX } from './options.ts';
import type { Route } from './service.ts';
import { hasDetails, toStatus } from './status.ts';

type AnyStatus = Parameters<ServerInterceptingCall['sendStatus']>[0];

/**
 * grpc-js refuses some calls by itself, before any handler: a message over the limit, one that
 * cannot be decompressed, a deadline that is over. It does so by the `sendStatus` of the innermost
 * call, which is what the first interceptor is given; through here these refusals carry the field,
 * the limit and the details of all others.
 */
export const ownStatus =
  (routes: ReadonlyMap<string, Route>): ServerInterceptor =>
  ({ path }, call) => {
    const send = call.sendStatus.bind(call);
    const explained = ({ code, details }: AnyStatus): StatusObject =>
      toStatus(meaning(code, details, routes.get(path)?.messageBytesMax ?? MESSAGE_BYTES_MAX));
    call.sendStatus = (status: AnyStatus) => {
      send(status.code === GrpcCode.OK || hasDetails(status.metadata) ? status : explained(status));
    };
    // Nothing else is intercepted, so that messages pass without another layer.
    return call as ServerInterceptingCall;
  };

function meaning(code: number, text: string, bytesMax: number): MeshError {
  if (code === GrpcCode.RESOURCE_EXHAUSTED && text.includes('larger than')) {
    return tooLarge('request', sentence(text), `${bytesMax} bytes`);
  }
  if (text.includes('decompress')) {
    return invalid('request', 'cannot be decompressed', { reason: 'MALFORMED' });
  }
  if (text.includes('unsupported encoding')) {
    const limit = 'identity, gzip or deflate';
    return new MeshError('Unimplemented', text, { field: 'grpc-encoding', limit });
  }
  return new MeshError(codeFromGrpcStatus(code), text);
}

const sentence = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
