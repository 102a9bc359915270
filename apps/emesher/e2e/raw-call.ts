import { connect } from 'node:http2';

export interface RawAnswer {
  /** HTTP status; 0 when the stream was reset before one came. */
  readonly http: number;
  /** gRPC status of headers or trailers; undefined when there was none. */
  readonly status: number | undefined;
  readonly message: string;
}

export interface RawCall {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes of the request as they go into DATA frames, prefixes and all. */
  readonly body: readonly Uint8Array[];
  /** Default true: the request ends after the last part. */
  readonly end?: boolean;
}

/** gRPC's prefix: compressed or not, and the length in big-endian. */
export function framed(message: Uint8Array, compressed = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** One call below gRPC, for bytes that no gRPC client would send. */
export function rawCall(address: string, call: RawCall): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${address}`);
    session.once('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': call.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...call.headers,
    });
    let http = 0;
    let status: number | undefined;
    let message = '';
    const read = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
      message = decodeURIComponent(String(headers['grpc-message'] ?? message));
    };
    stream.on('response', (headers) => {
      http = Number(headers[':status']);
      read(headers);
    });
    stream.on('trailers', read);
    stream.on('error', () => undefined); // A reset is an answer, too: no status.
    stream.once('close', () => {
      session.destroy();
      resolve({ http, status, message });
    });
    stream.resume();
    for (const part of call.body) stream.write(part);
    if (call.end !== false) stream.end();
  });
}
