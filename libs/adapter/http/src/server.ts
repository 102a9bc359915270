import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { MeshPort } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import { MessageBudget } from '@eventmesh/telemetry';
import type { HttpMetrics } from './metrics.ts';
import { SERVER_LIMITS, type HttpAdapterOptions } from './options.ts';
import { notAllowed } from './methods.ts';
import { problemOf, rawAnswer, rawProblem } from './problem.ts';
import { parseQuery } from './topic-path.ts';
import { boundUnfinishedBodies } from './unfinished-bodies.ts';

/** A fastify that leaves bodies as bytes, validates and logs nothing, and has every limit set. */
export function makeServer(
  options: HttpAdapterOptions,
  port: MeshPort,
  metrics: HttpMetrics,
  refuse: (reply: FastifyReply, thrown: unknown) => void,
): FastifyInstance {
  const app = fastify({
    serverFactory: (handler) => boundedServer(options, handler as never),
    bodyLimit: port.eventBytesMax,
    routerOptions: { maxParamLength: 4096, querystringParser: parseQuery },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerBroken,
    frameworkErrors: (error, _, reply) => refuse(reply as never, error),
  });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  const largest = acceptBytes(app, options, port);
  const budget = new MessageBudget({
    max: Math.max(options.unfinishedBytesMax, largest),
    field: 'body',
    onRefused: () => metrics.unfinishedRefused(),
  });
  metrics.measureUnfinished(budget);
  boundUnfinishedBodies(app, budget);
  return app;
}

function boundedServer(options: HttpAdapterOptions, handler: () => void): Server {
  const bounds: ServerOptions = {
    requestTimeout: SERVER_LIMITS.requestTimeoutMs,
    headersTimeout: SERVER_LIMITS.headersTimeoutMs,
    keepAliveTimeout: SERVER_LIMITS.keepAliveTimeoutMs,
    connectionsCheckingInterval: SERVER_LIMITS.checkIntervalMs,
    maxHeaderSize: SERVER_LIMITS.headerBytesMax,
    noDelay: true,
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(bounds, handler)
      : createTlsServer(
          { ...bounds, cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) },
          handler,
        );
  // Bounded by bytes above; beyond a count Node would drop headers without a word.
  server.maxHeadersCount = 0;
  // What Node would answer itself, and without a word.
  server.on('connect', ({ method }, socket) => socket.end(rawAnswer(notAllowed(method ?? '', ''))));
  server.on('checkExpectation', (_, response) => {
    const problem = problemOf(
      invalid('expect', 'only 100-continue can be met', { reason: 'EXPECTATION_FAILED' }),
    );
    const headers = { 'content-type': 'application/problem+json', connection: 'close' };
    response.writeHead(problem.status, headers).end(JSON.stringify(problem));
  });
  return server;
}

function answerBroken(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(rawProblem(error.code));
}

/**
 * Bodies stay bytes; each form has its own limit, checked before and while it is read.
 *
 * @returns bytes of the largest body
 */
function acceptBytes(app: FastifyInstance, options: HttpAdapterOptions, port: MeshPort): number {
  const { eventBytesMax } = port;
  // Base64 makes three bytes four; the rest is room for attributes.
  const structured = Math.ceil((eventBytesMax * 4) / 3) + 65_536;
  const limits: [string, number][] = [
    ['*', eventBytesMax],
    ['application/cloudevents+json', structured],
    ['application/cloudevents-batch+json', Math.max(options.batchBytesMax, structured)],
  ];
  app.removeAllContentTypeParsers();
  for (const [contentType, bodyLimit] of limits) {
    app.addContentTypeParser(contentType, { parseAs: 'buffer', bodyLimit }, (_, body, done) =>
      done(null, body),
    );
  }
  return Math.max(...limits.map(([, bytes]) => bytes));
}
