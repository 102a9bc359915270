import type { DescMethod } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import type { CallContext, Router } from './service.ts';

/** A call on its way to its handler. */
export interface Call {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly method: DescMethod;
  readonly ctx: CallContext;
}

/**
 * Stands round every call of a router, over gRPC and in process alike. `next` goes on inwards: it
 * resolves to the reply, or to the async iterable of replies, and throws what the caller will be
 * told. Call it once, or throw instead.
 */
export type Interceptor = (call: Call, next: () => Promise<unknown>) => Promise<unknown>;

/** The interceptors in the order in which they were added, then the guard, then the handler. */
export function invoke(router: Router, call: Call, input: unknown): Promise<unknown> {
  return through(router, call, async () => {
    await router.routes.get(call.path)?.guard?.(call.ctx, call.method);
    return handle(router, call, input);
  });
}

/** The same for a call whose guard has let it pass already. */
export const invokeAdmitted = (router: Router, call: Call, input: unknown): Promise<unknown> =>
  through(router, call, () => handle(router, call, input));

/** What the interceptors make of a call that is refused before its handler is asked. */
export const invokeRefused = (router: Router, call: Call, error: MeshError): Promise<unknown> =>
  through(router, call, () => Promise.reject(error));

function through(router: Router, call: Call, innermost: () => Promise<unknown>): Promise<unknown> {
  let next = innermost;
  for (const interceptor of router.interceptors.toReversed()) {
    const inner = next;
    next = () => interceptor(call, inner);
  }
  return next();
}

async function handle(router: Router, { path, method, ctx }: Call, input: unknown) {
  const handler = router.routes.get(path)?.handler;
  if (handler === undefined) {
    throw new MeshError('Unimplemented', `${method.parent.typeName}/${method.name} is not served`);
  }
  return handler(input, ctx);
}
