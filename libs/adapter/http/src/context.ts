import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import type { MeshPort, Session } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { parseStrictJson } from '@eventmesh/event';
import type { Logger } from '@eventmesh/telemetry';
import type { Consumers } from './consumers.ts';
import type { HttpMetrics } from './metrics.ts';
import type { HttpAdapterOptions } from './options.ts';
import { fromServerError, sendProblem, statusOf } from './problem.ts';
import type { Sessions } from './sessions.ts';

/** What the handlers of one adapter share. */
export interface HttpContext {
  readonly port: MeshPort;
  readonly options: HttpAdapterOptions;
  readonly sessions: Sessions;
  readonly consumers: Consumers;
  readonly metrics: HttpMetrics;
  readonly log: Logger;
}

/** Must answer, or take the response over, before it resolves. */
export type Handler = (
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session,
) => Promise<void>;

/** A route's handler: authenticates first, turns what is thrown into a problem, counts the answer. */
export function guarded(context: HttpContext, route: string, handler: Handler): RouteHandlerMethod {
  const run = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    try {
      const session = await context.sessions.of(request.raw);
      await handler(request, reply, session);
      context.metrics.answered(route, reply.raw.statusCode);
    } catch (thrown) {
      if (!reply.sent) fail(context, route, reply, thrown);
      else cutShort(context, route, reply, thrown);
    }
  };
  // Not awaited by fastify, which would watch the reply at a price; `run` answers whatever happens.
  return (request, reply) => void run(request, reply);
}

/** Answers with a problem; faults of our own are logged with their cause. */
export function fail(
  context: HttpContext,
  route: string,
  reply: FastifyReply,
  thrown: unknown,
): FastifyReply {
  const limit = reply.request.routeOptions.bodyLimit ?? context.port.eventBytesMax;
  const error = fromServerError(thrown, limit);
  if (error.code === 'Internal' || error.code === 'DataLoss') {
    context.log.error({ err: error.cause ?? error, route }, 'an HTTP request failed');
  }
  context.metrics.answered(route, statusOf(error));
  return sendProblem(reply, error);
}

/** An answer that has begun cannot become a problem any more. */
function cutShort(context: HttpContext, route: string, reply: FastifyReply, thrown: unknown): void {
  context.log.error({ err: thrown, route }, 'an HTTP response broke off');
  reply.raw.destroy();
}

export function sendJson(reply: FastifyReply, status: number, value: unknown): FastifyReply {
  return reply.code(status).header('content-type', 'application/json').send(JSON.stringify(value));
}

/** The body of a management call: a JSON object. */
export function jsonBody(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const { body } = request;
  if (!Buffer.isBuffer(body) || body.length === 0) throw invalid('body', 'is empty; send JSON');
  const value = parseStrictJson(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('body', 'must be a JSON object');
  }
  return value as Record<string, unknown>;
}

/** A parameter of the path. */
export function pathParameter(request: FastifyRequest, name: string): string {
  const value = (request.params as Record<string, string | undefined>)[name];
  if (value === undefined || value === '') throw invalid(name, 'is missing in the path');
  return value;
}

export const notHere = (message: string, field: string): MeshError =>
  new MeshError('NotFound', message, { field });
