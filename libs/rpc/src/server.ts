import type { Readable } from 'node:stream';
import { create, fromBinary, toBinary, type DescMessage } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import {
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { Connections, MessageBudget, type Logger, type Metrics } from '@eventmesh/telemetry';
import { Admission } from './admission.ts';
import { listenersOf } from './grpc-inside.ts';
import { invokeAdmitted, invokeRefused } from './interceptors.ts';
import { Malformed, tolerant } from './malformed.ts';
import { RPC_METRICS } from './metrics.ts';
import {
  CHANNEL_OPTIONS,
  CONNECTIONS_MAX,
  FIRST_MESSAGE_MS,
  STREAMS_MAX,
  UNFINISHED_BYTES_MAX,
  serverCredentials,
  type ServerTlsFiles,
} from './options.ts';
import { ownStatus } from './own-status.ts';
import { PreEncoded } from './pre-encoded.ts';
import { requestsOf } from './requests-of.ts';
import type { CallContext, Route, Router } from './service.ts';
import { toStatus } from './status.ts';

export interface RpcServerOptions {
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes a free port, to be read back from `port`. */
  readonly port: number;
  readonly tls?: ServerTlsFiles;
  /** Connections at a time; the next one is closed at once. Default 10,000. */
  readonly connectionsMax?: number;
  /**
   * Bytes of messages that have come in part, of all calls together; beyond it the calls that keep
   * the most for the longest are refused as ResourceExhausted (UNFINISHED_MESSAGES). At least the
   * largest message. Default 64 MiB: 500 busy publishers are each halfway through a frame of 256 KiB.
   */
  readonly unfinishedBytesMax?: number;
  /** Calls that one connection may have open at a time; a client keeps further ones. Default 1,000. */
  readonly streamsMax?: number;
  /**
   * Longest wait for the first complete message of a call, in ms; then DeadlineExceeded. Default
   * 10,000. Streams that have begun may be idle for ever.
   */
  readonly firstMessageMs?: number;
  /** Told of every failed call whose cause is worth a log line; never throws. */
  readonly onError?: (path: string, error: MeshError) => void;
  /** Where connections and unfinished messages are counted. Default: nowhere. */
  readonly metrics?: Metrics;
  /** Told, at most once a minute, that connections are refused. Default: nobody is. */
  readonly log?: Pick<Logger, 'warn'>;
}

type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerReadableStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>;

/** Serves a router over gRPC. Life: new → start → drain → stopped. */
export class RpcServer {
  readonly #router: Router;
  readonly #options: RpcServerOptions;
  readonly #admission: Admission;
  readonly #connections: Connections;
  /** What to call when the server is gone. */
  readonly #unmeasure: () => void;
  readonly #server: Server;
  readonly #draining = new AbortController();
  #port = 0;

  constructor(router: Router, options: RpcServerOptions) {
    this.#router = router;
    this.#options = options;
    const { metrics, log } = options;
    this.#connections = new Connections({
      server: 'grpc',
      max: options.connectionsMax ?? CONNECTIONS_MAX,
      key: 'grpc.connectionsMax',
      metrics,
      log,
    });
    const live = metrics?.use(RPC_METRICS);
    const budget = new MessageBudget({
      max: options.unfinishedBytesMax ?? UNFINISHED_BYTES_MAX,
      field: 'request',
      onRefused: () => live?.unfinishedRefused.inc(),
    });
    this.#unmeasure =
      metrics?.measure(RPC_METRICS.unfinished, () => budget.bytes) ?? (() => undefined);
    this.#admission = new Admission({
      budget,
      routes: router.routes,
      firstMessageMs: options.firstMessageMs ?? FIRST_MESSAGE_MS,
      draining: this.#draining.signal,
      onRefused: (route, ctx, error) => {
        this.#refused(route, ctx, error).catch((thrown: unknown) => this.#failed(route, thrown));
      },
    });
    this.#server = new Server({
      ...CHANNEL_OPTIONS,
      'grpc.max_concurrent_streams': options.streamsMax ?? STREAMS_MAX,
      interceptors: [ownStatus(router.routes), this.#admission.interceptor],
    });
  }

  /** The port that is really listened on; 0 before `start`. */
  get port(): number {
    return this.#port;
  }

  /** `host:port` for clients on this machine. */
  get address(): string {
    return `${this.#options.host ?? '127.0.0.1'}:${this.#port}`;
  }

  async start(): Promise<void> {
    for (const service of this.#definitions().values()) {
      this.#server.addService(service.definition, service.handlers);
    }
    const { host = '127.0.0.1', port, tls } = this.#options;
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, serverCredentials(tls), (error, bound) => {
        if (error === null) resolve(bound);
        else {
          reject(
            new MeshError('Unavailable', `cannot listen on ${host}:${port}: ${error.message}`, {
              field: 'port',
            }),
          );
        }
      });
    });
    for (const listener of listenersOf(this.#server)) this.#connections.watch(listener);
  }

  /** Refuses new calls, tells streams to end, and cuts what is left after the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining.abort();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, deadlineMs);
    });
    const clean = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await Promise.race([clean, late]);
    clearTimeout(timer);
    this.#unmeasure();
  }

  stop(): void {
    this.#draining.abort();
    this.#server.forceShutdown();
    this.#unmeasure();
  }

  #definitions() {
    const services = new Map<
      string,
      { definition: Record<string, object>; handlers: UntypedServiceImplementation }
    >();
    for (const route of this.#router.routes.values()) {
      const serviceName = route.path.split('/')[1] ?? '';
      const service = services.get(serviceName) ?? { definition: {}, handlers: {} };
      services.set(serviceName, service);
      const { method } = route;
      service.definition[method.name] = {
        path: route.path,
        requestStream:
          method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream:
          method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        requestSerialize: serializer(method.input),
        requestDeserialize: tolerant(method.input, route.requestType, route.decode),
        responseSerialize: serializer(method.output),
        responseDeserialize: deserializer(method.output),
      };
      service.handlers[method.name] = this.#handler(route) as UntypedServiceImplementation[string];
    }
    return services as Map<string, { definition: never; handlers: UntypedServiceImplementation }>;
  }

  #handler(route: Route): unknown {
    switch (route.method.methodKind) {
      case 'unary':
      case 'client_streaming':
        return (
          call: ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>,
          done: sendUnaryData<unknown>,
        ) => {
          this.#run(route, call).then(
            (reply) => done(null, reply),
            (error: unknown) => done(toStatus(this.#failed(route, error))),
          );
        };
      case 'server_streaming':
      case 'bidi_streaming':
        return (
          call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
        ) => {
          this.#run(route, call)
            .then((replies) => writeAll(call, replies as AsyncIterable<unknown>))
            .catch((error: unknown) => {
              call.emit('error', toStatus(this.#failed(route, error)));
            });
        };
    }
  }

  async #run(route: Route, call: AnyCall): Promise<unknown> {
    const ctx = this.#admission.contextOf(call.metadata);
    const request: unknown =
      'read' in call ? requestsOf(call as Readable, ctx.signal) : call.request;
    if (request instanceof Malformed) return this.#refused(route, ctx, request.error);
    return invokeAdmitted(this.#router, { path: route.path, method: route.method, ctx }, request);
  }

  #refused(route: Route, ctx: CallContext, error: MeshError): Promise<unknown> {
    return invokeRefused(this.#router, { path: route.path, method: route.method, ctx }, error);
  }

  #failed(route: Route, thrown: unknown): MeshError {
    const error = MeshError.from(thrown);
    this.#options.onError?.(route.path, error);
    return error;
  }
}

export const serializer = (schema: DescMessage) => (message: unknown) => {
  if (message instanceof PreEncoded) return message.bytes;
  const whole =
    (message as { $typeName?: string }).$typeName === schema.typeName
      ? message
      : create(schema, message as never);
  const bytes = toBinary(schema, whole as never);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};

export const deserializer = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes);

/** Writes replies as fast as the caller reads them; ends the call after the last. */
async function writeAll(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  replies: AsyncIterable<unknown>,
): Promise<void> {
  for await (const reply of replies) {
    if (call.cancelled) return;
    if (!call.write(reply)) await drained(call);
  }
  call.end();
}

/** Resolves when the stream takes more, or when there is nobody to write to any more. */
export function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'cancelled', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'cancelled', 'error']) stream.on(event, done);
  });
}
