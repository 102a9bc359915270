import type { FastifyInstance } from 'fastify';
import { invalid, type MeshError } from '@eventmesh/errors';
import { fail, type HttpContext } from './context.ts';

const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'];

/**
 * Notes the routes that are made from now on. The function it returns makes the rest: every other
 * method of their paths answers 405 with those that there are in `Allow` (RFC 9110, 15.5.6).
 */
export function watchMethods(app: FastifyInstance, context: HttpContext): () => void {
  const paths = new Map<string, Set<string>>();
  let watching = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (!watching) return;
    const methods = paths.get(url) ?? new Set();
    paths.set(url, methods);
    for (const one of [method].flat()) methods.add(one);
  });
  return () => {
    watching = false;
    for (const [url, methods] of paths) {
      const allow = [...methods].sort().join(', ');
      app.route({
        url,
        method: METHODS.filter((method) => !methods.has(method)),
        schema: { hide: true },
        handler: (request, reply) =>
          fail(context, 'unknown', reply.header('allow', allow), notAllowed(request.method, allow)),
      });
    }
  };
}

export const notAllowed = (method: string, allow: string): MeshError =>
  invalid('method', `${method} is not for this path`, {
    reason: 'METHOD_NOT_ALLOWED',
    limit: allow,
  });
