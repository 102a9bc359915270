import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import type { Interceptor } from './interceptors.ts';
import { MESSAGE_BYTES_MAX } from './options.ts';
import type { PreEncoded } from './pre-encoded.ts';

/** What a handler knows about the call it answers. */
export interface CallContext {
  /** Aborts when the caller is gone, the deadline has passed, or the server stops at last. */
  readonly signal: AbortSignal;
  /** Aborts when the server starts to drain: long streams should end soon and cleanly. */
  readonly draining: AbortSignal;
  /** Milliseconds since the Unix epoch, or undefined when the caller set none. */
  readonly deadlineMs: number | undefined;
  /** Request metadata by lower-case name. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Address of the caller; `local` inside the process. */
  readonly peer: string;
}

/** The handlers of a service. One that is missing answers Unimplemented. */
export type ServiceImpl<S extends DescService> = {
  [K in keyof S['method']]?: MethodImpl<S['method'][K]>;
};

export type MethodImpl<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, ctx: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (
          request: MessageShape<I>,
          ctx: CallContext,
        ) => AsyncIterable<MessageInitShape<O> | PreEncoded>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            ctx: CallContext,
          ) => Promise<MessageInitShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageShape<I>>,
              ctx: CallContext,
            ) => AsyncIterable<MessageInitShape<O> | PreEncoded>
          : never;

export interface RegisterOptions {
  /** Serve under this service's name: for a wire twin of it. */
  readonly as?: DescService;
  /** Names of methods that another registration serves. */
  readonly except?: readonly string[];
  /** Runs before each call, over gRPC before its message is read; throws to refuse it. */
  readonly guard?: (ctx: CallContext, method: DescMethod) => void | Promise<void>;
  /**
   * Largest message of a call over gRPC. Default `MESSAGE_BYTES_MAX`; a service that answers
   * strangers needs a small one.
   */
  readonly messageBytesMax?: number;
  /**
   * Names of streaming methods whose callers may be silent from the start. The first message of
   * all others must come within the first-message limit of the server.
   */
  readonly silent?: readonly string[];
  /**
   * Names of streaming methods that carry much: once such a call is admitted, `WINDOW_BYTES` of its
   * connection may be on their way to it. All others keep HTTP/2's 64 KiB, which slows publishers
   * down before what they send piles up here.
   */
  readonly bulk?: readonly string[];
  /**
   * Own decoders of requests over gRPC, by the name of the method: for messages that come by the
   * thousand. One that answers undefined leaves the message to the general decoder, which also says
   * what is wrong with it. Handlers must take what they answer.
   */
  readonly decoders?: Readonly<Record<string, (bytes: Buffer) => object | undefined>>;
}

export interface Route {
  readonly path: string;
  readonly method: DescMethod;
  /** Undefined: Unimplemented. */
  readonly handler: ((input: unknown, ctx: CallContext) => unknown) | undefined;
  readonly guard: RegisterOptions['guard'];
  readonly messageBytesMax: number;
  /** Whether a call must begin with a message soon. */
  readonly needsMessage: boolean;
  /** Whether a call gets wide windows. */
  readonly bulk: boolean;
  readonly decode: ((bytes: Buffer) => object | undefined) | undefined;
  /** Name of the request's type as callers know it. */
  readonly requestType: string;
}

/**
 * The services of a process by path. The same router is served over gRPC and called in process, so
 * that both run the same code.
 */
export class Router {
  readonly routes = new Map<string, Route>();
  readonly services: DescService[] = [];
  readonly interceptors: Interceptor[] = [];

  /** Adds an interceptor inside of those that are there. Returns this. */
  use(interceptor: Interceptor): this {
    this.interceptors.push(interceptor);
    return this;
  }

  /** Adds a service. Registering a name twice throws. Returns this. */
  service<S extends DescService>(
    desc: S,
    impl: ServiceImpl<S>,
    options: RegisterOptions = {},
  ): this {
    const handlers = impl as Record<string, Route['handler']>;
    const served: DescService = options.as ?? desc;
    for (const method of desc.methods) {
      if (options.except?.includes(method.name) === true) continue;
      const path = `/${served.typeName}/${method.name}`;
      if (this.routes.has(path)) {
        throw new MeshError('Internal', `${path} is registered twice`);
      }
      // Handlers may be methods of a class; keep their `this`.
      const handler = handlers[method.localName]?.bind(impl);
      this.routes.set(path, {
        path,
        method,
        handler,
        guard: options.guard,
        messageBytesMax: options.messageBytesMax ?? MESSAGE_BYTES_MAX,
        needsMessage: options.silent?.includes(method.name) !== true,
        bulk: options.bulk?.includes(method.name) === true,
        decode: options.decoders?.[method.name],
        requestType: (served.method[method.localName] ?? method).input.typeName,
      });
    }
    if (!this.services.includes(served)) this.services.push(served);
    return this;
  }
}
