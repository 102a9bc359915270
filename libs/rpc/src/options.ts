import { readFileSync } from 'node:fs';
import { invalid } from '@eventmesh/errors';
import { ChannelCredentials, ServerCredentials, type ChannelOptions } from '@grpc/grpc-js';

/** PEM files of one side of a TLS connection. */
export interface TlsFiles {
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Trust bundle by which the other side is verified. */
  readonly caFile?: string;
}

export interface ServerTlsFiles extends TlsFiles {
  /** Whether callers must show a certificate that `caFile` trusts. Default: when there is one. */
  readonly clientCertificates?: 'required' | 'none';
}

/** Largest gRPC message: the largest event the mesh allows in one frame, and 64 KiB of envelope. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024 + 64 * 1024;

/** Calls that one connection may have open at a time, unless the server is told otherwise. */
export const STREAMS_MAX = 1000;

/** Connections that a server has at a time, unless it is told otherwise. */
export const CONNECTIONS_MAX = 10_000;

/** Bytes that a server keeps of messages that have not come whole, unless it is told otherwise. */
export const UNFINISHED_BYTES_MAX = 64 * 1024 * 1024;

/** Longest wait for the first complete message of a call, in ms. */
export const FIRST_MESSAGE_MS = 10_000;

/**
 * Bytes that may be on their way to a client on one connection, and to a server in a call that
 * carries much: so much flows in one round trip, 20 MB/s over a line of 50 ms. With HTTP/2's own
 * 64 KiB a burst of frames waits for several turns of both event loops even on one machine.
 */
export const WINDOW_BYTES = 1024 * 1024;

/**
 * grpc-js leaves keepalive, message size and session memory unlimited; these are our bounds.
 * Both sides ping alike, so that neither is told off for too many pings.
 */
export const CHANNEL_OPTIONS: ChannelOptions = Object.freeze({
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc-node.max_session_memory': 32,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
});

/** @throws MeshError InvalidArgument: half of a key pair must not become a server without TLS. */
export function serverCredentials(tls: ServerTlsFiles | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  if (tls.certFile === undefined || tls.keyFile === undefined) {
    throw invalid('grpc.tls', 'needs certFile and keyFile');
  }
  const { caFile, clientCertificates = caFile === undefined ? 'none' : 'required' } = tls;
  if (clientCertificates === 'required' && caFile === undefined) {
    throw invalid('grpc.tls.caFile', 'is missing; client certificates are required');
  }
  const pair = {
    cert_chain: readFileSync(tls.certFile),
    private_key: readFileSync(tls.keyFile),
  };
  const ca = caFile === undefined ? null : readFileSync(caFile);
  return ServerCredentials.createSsl(ca, [pair], clientCertificates === 'required');
}

export function channelCredentials(tls: TlsFiles | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  const read = (file: string | undefined) => (file === undefined ? null : readFileSync(file));
  return ChannelCredentials.createSsl(read(tls.caFile), read(tls.keyFile), read(tls.certFile));
}
