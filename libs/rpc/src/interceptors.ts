import type { DescMethod } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import type { CallContext, Route, Router } from './service.ts';

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
export function invoke(
  router: Router,
  path: string,
  method: DescMethod,
  input: unknown,
  ctx: CallContext,
): Promise<unknown> {
  const route = router.routes.get(path);
  const call = { path, method, ctx };
  let next = () => handle(route, call, input);
  for (const interceptor of router.interceptors.toReversed()) {
    const inner = next;
    next = () => interceptor(call, inner);
  }
  return next();
}

async function handle(route: Route | undefined, call: Call, input: unknown): Promise<unknown> {
  const { ctx, method } = call;
  if (route?.handler === undefined) {
    throw new MeshError('Unimplemented', `${method.parent.typeName}/${method.name} is not served`);
  }
  await route.guard?.(ctx, method);
  return route.handler(input, ctx);
}
