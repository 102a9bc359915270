import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import { Client as GrpcClient, Metadata, type ClientDuplexStream } from '@grpc/grpc-js';
import type { CallOptions, Transport } from './client.ts';
import { CHANNEL_OPTIONS, channelCredentials, type TlsFiles } from './options.ts';
import { Retries } from './retries.ts';
import { deserializer, drained, serializer } from './server.ts';
import { fromServiceError } from './status.ts';

export interface GrpcTransportOptions {
  /** `host:port`. */
  readonly address: string;
  readonly tls?: TlsFiles;
  /** Name that the server's certificate must be of. Default: the host of the address. */
  readonly serverName?: string;
  /** Sent with every call, such as `authorization`. Asked anew for each call. */
  readonly metadata?: () => Readonly<Record<string, string>>;
  /** Deadline of unary calls that state none, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

interface Codec {
  readonly serialize: (message: unknown) => Buffer;
  readonly deserialize: (bytes: Buffer) => unknown;
}

/** Calls over one gRPC channel, which connects on first use and reconnects with backoff. */
export function grpcTransport(options: GrpcTransportOptions): Transport {
  const { address, tls, serverName } = options;
  const client = new GrpcClient(address, channelCredentials(tls), {
    ...CHANNEL_OPTIONS,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
  });
  const codecs = new Map<DescMethod, Codec>();
  const retries = new Retries();

  const codec = (method: DescMethod): Codec => {
    let found = codecs.get(method);
    if (found === undefined) {
      found = {
        serialize: serializer(method.input as DescMessage),
        deserialize: deserializer(method.output as DescMessage),
      };
      codecs.set(method, found);
    }
    return found;
  };

  const metadata = (call: CallOptions): Metadata => {
    const out = new Metadata();
    for (const [name, value] of Object.entries({ ...options.metadata?.(), ...call.metadata })) {
      out.set(name, value);
    }
    return out;
  };

  const unaryOnce = (
    method: DescMethod,
    path: string,
    input: unknown,
    call: CallOptions,
    deadline: number,
  ) =>
    new Promise<unknown>((resolve, reject) => {
      const { serialize, deserialize } = codec(method);
      const pending = client.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        input,
        metadata(call),
        { deadline },
        (error, reply) => {
          call.signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(reply);
          else reject(fromServiceError(error));
        },
      );
      const cancel = () => pending.cancel();
      call.signal?.addEventListener('abort', cancel, { once: true });
    });

  return {
    async unary(method, path, input, call) {
      call.signal?.throwIfAborted();
      const once = (deadlineMs: number) => unaryOnce(method, path, input, call, deadlineMs);
      const deadlineMs = Date.now() + (call.timeoutMs ?? options.timeoutMs ?? 10_000);
      const { idempotent = false, signal } = call;
      if (idempotent === false) return once(deadlineMs);
      const which = idempotent === 'refused' ? 'refused' : 'unavailable';
      return retries.run(once, deadlineMs, signal, which);
    },
    stream(method, path, input, call) {
      const { serialize, deserialize } = codec(method);
      return bidi(
        () =>
          client.makeBidiStreamRequest(
            path,
            serialize,
            call.decode ?? deserialize,
            metadata(call),
            call.timeoutMs === undefined ? {} : { deadline: Date.now() + call.timeoutMs },
          ),
        input,
        call.signal,
      );
    },
    close: () => client.close(),
  };
}

/**
 * What was written after the server had ended the stream fails it as `INTERNAL`, before replies that
 * are on their way here have been read. It is no fault of anybody: a new stream may go on.
 */
function streamError(thrown: unknown): MeshError {
  const error = fromServiceError(thrown);
  if (error.code !== 'Internal' || !error.message.startsWith('Write error: ')) return error;
  return unavailable('the server has ended the stream', error);
}

async function* bidi(
  open: () => ClientDuplexStream<unknown, unknown>,
  input: AsyncIterable<unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator {
  signal?.throwIfAborted();
  const call = open();
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  let ended = false;
  const sending = (async () => {
    for await (const message of input) {
      if (ended) return;
      if (!call.write(message)) await drained(call);
    }
    call.end();
  })().catch((error: unknown) => {
    call.cancel();
    throw error;
  });
  // A failed input cancels the call, which ends the loop below; its own error is told then.
  let inputError: unknown;
  sending.catch((error: unknown) => {
    inputError = error;
  });
  try {
    for await (const reply of call) yield reply;
  } catch (error) {
    if (inputError !== undefined) throw MeshError.from(inputError);
    throw streamError(error);
  } finally {
    ended = true;
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}
