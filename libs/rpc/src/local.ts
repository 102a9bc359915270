import { create, fromBinary, type DescMessage } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { PreEncoded } from './pre-encoded.ts';
import type { CallOptions, Transport } from './client.ts';
import { invoke } from './interceptors.ts';
import { serializer } from './server.ts';
import type { CallContext, Router } from './service.ts';

/**
 * Calls a router in this process: the same handlers and guards as over gRPC, without bytes.
 * Messages pass by reference; neither side may change one after handing it over.
 */
export function localTransport(router: Router, metadata: Record<string, string> = {}): Transport {
  const stopped = new AbortController();

  const context = (options: CallOptions): CallContext => {
    const signals = [stopped.signal];
    if (options.signal !== undefined) signals.push(options.signal);
    if (options.timeoutMs !== undefined) signals.push(AbortSignal.timeout(options.timeoutMs));
    return {
      signal: signals.length === 1 ? stopped.signal : AbortSignal.any(signals),
      draining: stopped.signal,
      deadlineMs: options.timeoutMs === undefined ? undefined : Date.now() + options.timeoutMs,
      metadata: new Map(Object.entries({ ...metadata, ...options.metadata })),
      peer: 'local',
    };
  };

  return {
    async unary(method, path, input, options) {
      try {
        const ctx = context(options);
        const request = create(method.input, input as never);
        return create(
          method.output,
          (await invoke(router, { path, method, ctx }, request)) as never,
        );
      } catch (error) {
        throw MeshError.from(error);
      }
    },
    async *stream(method, path, input, options) {
      try {
        const ctx = context(options);
        const requests = created(method.input, input);
        const request = method.methodKind === 'server_streaming' ? await first(requests) : requests;
        const replies = await invoke(router, { path, method, ctx }, request);
        if (method.methodKind === 'client_streaming') {
          yield create(method.output, replies as never);
        } else {
          for await (const reply of replies as AsyncIterable<never>) {
            if (ctx.signal.aborted) throw ctx.signal.reason;
            yield options.decode === undefined
              ? decoded(method.output, reply)
              : options.decode(encoded(method.output, reply));
          }
        }
      } catch (error) {
        throw MeshError.from(error);
      }
    },
    close: () => stopped.abort(),
  };
}

const encoded = (schema: DescMessage, message: unknown): Buffer => serializer(schema)(message);

function decoded(schema: DescMessage, message: unknown): unknown {
  if (message instanceof PreEncoded) return fromBinary(schema, message.bytes);
  return create(schema, message as never);
}

async function* created(schema: DescMessage, input: AsyncIterable<unknown>): AsyncGenerator {
  for await (const message of input) yield decoded(schema, message);
}

async function first(requests: AsyncIterable<unknown>): Promise<unknown> {
  for await (const request of requests) return request;
  throw new MeshError('InvalidArgument', 'the call carried no request');
}
