import { MeshError } from '@eventmesh/errors';
import type { Metadata, ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';
import type { MessageBudget } from '@eventmesh/telemetry';
import {
  closeAfterStatus,
  limitMessages,
  sendFrames,
  watchUnfinished,
  widenWindows,
} from './grpc-inside.ts';
import { MESSAGE_BYTES_MAX, WINDOW_BYTES } from './options.ts';
import type { CallContext, Route } from './service.ts';
import { toStatus } from './status.ts';

type InnerCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<ServerInterceptingCall['start']>[0];

export interface AdmissionOptions {
  readonly routes: ReadonlyMap<string, Route>;
  /** Longest wait for the first complete message of a call, in ms. */
  readonly firstMessageMs: number;
  readonly draining: AbortSignal;
  /** What all calls together may keep of messages that have not come whole. */
  readonly budget: MessageBudget;
  /** Told of a call that is refused before its handler has heard of it; never throws. */
  readonly onRefused: (route: Route, ctx: CallContext, error: MeshError) => void;
}

/**
 * Stands before the reading of a call: its guard decides by the metadata alone, so that nothing of
 * a stranger's message is ever kept, and what a caller may make the server hold ends with the wait
 * for the first message. Later messages pass without another layer.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  // By the metadata of the call, which is what grpc-js hands on to the handler.
  readonly #contexts = new WeakMap<Metadata, CallContext>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    const route = this.#options.routes.get(method.path);
    if (route !== undefined) {
      if (route.messageBytesMax !== MESSAGE_BYTES_MAX) limitMessages(call, route.messageBytesMax);
      sendFrames(call);
      const start = call.start.bind(call);
      call.start = (listener: Listener) => {
        this.#stand(route, call, listener);
        start(listener);
      };
    }
    return call as ServerInterceptingCall;
  };

  /** The context of a call that was admitted. */
  contextOf(metadata: Metadata): CallContext {
    const ctx = this.#contexts.get(metadata);
    if (ctx === undefined) throw new MeshError('Internal', 'the call was never admitted');
    return ctx;
  }

  #stand(route: Route, call: InnerCall, listener: Listener): void {
    const gone = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    let unseen: CallContext | undefined;
    const { onReceiveMetadata, onReceiveMessage, onReceiveHalfClose, onCancel } = listener;
    const refuse = (error: MeshError, ctx?: CallContext) => {
      if (gone.signal.aborted) return;
      gone.abort(error);
      if (ctx !== undefined) this.#options.onRefused(route, ctx, error);
      call.sendStatus(toStatus(error));
      closeAfterStatus(call);
    };
    const hold = this.#options.budget.share((error) => {
      drop();
      refuse(error, unseen);
    });
    const drop = watchUnfinished(call, hold);
    const admit = (metadata: Metadata, ctx: CallContext) => {
      // A handler that starts now would never be told that the caller is gone.
      if (gone.signal.aborted) return;
      // The handler of a call of one message starts with it, that of a stream right now.
      unseen = isStream(route) ? undefined : ctx;
      if (route.bulk) widenWindows(call, WINDOW_BYTES);
      if (route.needsMessage) {
        const { firstMessageMs } = this.#options;
        timer = setTimeout(() => refuse(noMessage(firstMessageMs), unseen), firstMessageMs);
      }
      onReceiveMetadata.call(listener, metadata);
    };
    listener.onReceiveMetadata = (metadata: Metadata) => {
      const ctx = this.#context(call, metadata, gone.signal);
      this.#contexts.set(metadata, ctx);
      if (route.guard === undefined) {
        admit(metadata, ctx);
        return;
      }
      guard(route, ctx).then(
        () => admit(metadata, ctx),
        (error: unknown) => refuse(MeshError.from(error), ctx),
      );
    };
    listener.onReceiveMessage = (message: unknown) => {
      clearTimeout(timer);
      listener.onReceiveMessage = onReceiveMessage;
      onReceiveMessage.call(listener, message);
    };
    listener.onReceiveHalfClose = () => {
      clearTimeout(timer);
      onReceiveHalfClose.call(listener);
    };
    listener.onCancel = () => {
      clearTimeout(timer);
      // Its caller may keep it open for as long as it likes.
      drop();
      hold(0);
      if (!gone.signal.aborted) gone.abort(new MeshError('Cancelled', 'the caller is gone'));
      onCancel.call(listener);
    };
  }

  #context(call: InnerCall, metadata: Metadata, signal: AbortSignal): CallContext {
    const deadline = call.getDeadline();
    return {
      signal,
      draining: this.#options.draining,
      deadlineMs:
        typeof deadline === 'number' && !Number.isFinite(deadline) ? undefined : +deadline,
      metadata: readMetadata(metadata),
      peer: call.getPeer(),
    };
  }
}

async function guard(route: Route, ctx: CallContext): Promise<void> {
  await route.guard?.(ctx, route.method);
}

const isStream = ({ method: { methodKind } }: Route): boolean =>
  methodKind === 'client_streaming' || methodKind === 'bidi_streaming';

const noMessage = (ms: number): MeshError =>
  new MeshError(
    'DeadlineExceeded',
    `request: the first message has not come within ${ms} ms; send it when the call is opened`,
    { field: 'request', limit: `${ms} ms`, reason: 'FIRST_MESSAGE' },
  );

function readMetadata(metadata: Metadata): Map<string, string> {
  return new Map(
    Object.entries(metadata.getMap()).map(([name, value]) => [name, value.toString()]),
  );
}
