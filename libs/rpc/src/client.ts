import type { PreEncoded } from './pre-encoded.ts';
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** From now, in milliseconds. Default for unary calls: the transport's; for streams: none. */
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * The call may be repeated after UNAVAILABLE: at most 3 attempts within its one deadline. `refused`:
   * only when the mesh itself has answered so, which it does before anything is done; never when it is
   * not known what became of the call. Default false.
   */
  readonly idempotent?: boolean | 'refused';
}

/** How the replies of one call are read. */
export interface DecodingOptions<T> extends CallOptions {
  /** Takes the bytes of one reply, which are its own. What it throws fails the stream as Internal. */
  readonly decode: (bytes: Buffer) => T;
}

/**
 * How calls travel: over gRPC or straight to a router in this process. All errors are MeshErrors.
 */
export interface Transport {
  unary(method: DescMethod, path: string, input: unknown, options: CallOptions): Promise<unknown>;
  stream(
    method: DescMethod,
    path: string,
    input: AsyncIterable<unknown>,
    options: CallOptions & Partial<DecodingOptions<unknown>>,
  ): AsyncIterable<unknown>;
  /** Ends the connection; calls in flight fail as Unavailable. */
  close(): void;
}

/** A typed client of a service; one method for each rpc. */
export type Client<S extends DescService> = {
  readonly [K in keyof S['method']]: ClientMethod<S['method'][K]>;
};

type ClientMethod<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageInitShape<I> | PreEncoded>,
            options?: CallOptions,
          ) => Promise<MessageShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageInitShape<I> | PreEncoded>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<O>>
          : never;

/** Makes a client; `as` calls under another service's name (for a wire twin of it). */
export function createClient<S extends DescService>(
  desc: S,
  transport: Transport,
  as: DescService = desc,
): Client<S> {
  const client: Record<string, unknown> = {};
  for (const method of desc.methods) {
    client[method.localName] = clientMethod(method, `/${as.typeName}/${method.name}`, transport);
  }
  return client as Client<S>;
}

/** Opens a stream whose replies the caller reads itself, since they come by the hundred thousand. */
export function openStream<I extends DescMessage, O extends DescMessage, T>(
  method: DescMethodBiDiStreaming<I, O>,
  transport: Transport,
  requests: AsyncIterable<MessageInitShape<I> | PreEncoded>,
  options: DecodingOptions<T>,
): AsyncIterable<T> {
  const path = `/${method.parent.typeName}/${method.name}`;
  return transport.stream(method, path, requests, options) as AsyncIterable<T>;
}

function clientMethod(method: DescMethod, path: string, transport: Transport): unknown {
  switch (method.methodKind) {
    case 'unary':
      return (request: unknown, options: CallOptions = {}) =>
        transport.unary(method, path, request, options);
    case 'server_streaming':
      return (request: unknown, options: CallOptions = {}) =>
        transport.stream(method, path, once(request), options);
    case 'client_streaming':
      return async (requests: AsyncIterable<unknown>, options: CallOptions = {}) => {
        for await (const reply of transport.stream(method, path, requests, options)) return reply;
        return undefined;
      };
    case 'bidi_streaming':
      return (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
        transport.stream(method, path, requests, options);
  }
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
