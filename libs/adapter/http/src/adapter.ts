import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { MeshPort, ProtocolAdapter } from '@eventmesh/adapter-api';
import { MeshError, unavailable } from '@eventmesh/errors';
import { Connections, type Logger, type Metrics } from '@eventmesh/telemetry';
import { Consumers } from './consumers.ts';
import { fail, notHere, type HttpContext } from './context.ts';
import { registerDeadLetters } from './handlers/dead-letters.ts';
import { registerInspection } from './handlers/inspect.ts';
import { registerSubscriptions } from './handlers/manage.ts';
import { registerPublish } from './handlers/publish.ts';
import { registerPull } from './handlers/pull.ts';
import { registerReplays } from './handlers/replays.ts';
import { registerScheduled } from './handlers/scheduled.ts';
import { registerSettle } from './handlers/settle.ts';
import { registerStreams } from './handlers/stream.ts';
import { watchMethods } from './methods.ts';
import { HttpMetrics } from './metrics.ts';
import { registerDocs, registerOpenApi } from './openapi.ts';
import type { HttpAdapterOptions } from './options.ts';
import { makeServer } from './server.ts';
import { Sessions } from './sessions.ts';
import { ResumeMemory } from './sse-token.ts';

export interface HttpAdapterDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** How often a drain looks for connections that have become idle. */
const SWEEP_MS = 20;

/** Makes the HTTP adapter of an emesher; nothing is bound before `start`. */
export function createHttpAdapter(
  options: HttpAdapterOptions,
  port: MeshPort,
  deps: HttpAdapterDeps,
): ProtocolAdapter {
  return new HttpAdapter(options, port, deps);
}

class HttpAdapter implements ProtocolAdapter {
  readonly name = 'http';
  readonly #context: HttpContext;
  readonly #connections: Connections;
  #app: FastifyInstance | undefined;
  #beat: NodeJS.Timeout | undefined;
  #refusing = false;
  /** Connections that have sent no request yet: the server counts them as busy, not as idle. */
  readonly #silent = new Set<Socket>();
  readonly #onDraining = (): void => this.#refuse();

  constructor(options: HttpAdapterOptions, port: MeshPort, deps: HttpAdapterDeps) {
    const consumers = new Consumers();
    this.#context = {
      port,
      options,
      sessions: new Sessions(port),
      consumers,
      metrics: new HttpMetrics(deps.metrics, consumers),
      log: deps.log,
    };
    this.#connections = new Connections({
      server: 'http',
      max: options.connectionsMax,
      key: 'http.connectionsMax',
      ...deps,
    });
  }

  async start(): Promise<void> {
    const { metrics, options, port } = this.#context;
    const app = makeServer(options, port, metrics, (reply, thrown) => {
      fail(this.#context, 'refused', reply, thrown);
    });
    this.#app = app;
    this.#connections.watch(app.server);
    const arrived = options.tls === undefined ? 'connection' : 'secureConnection';
    app.server.on(arrived, (socket: Socket) => {
      this.#silent.add(socket);
      socket.once('close', () => this.#silent.delete(socket));
    });
    app.server.on('request', ({ socket }) => this.#silent.delete(socket));
    await this.#register(app);
    await app.ready();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    app.server.once('error', reject);
    app.server.listen(options.port, options.host, resolve);
    try {
      await promise;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MeshError(
        'Unavailable',
        `cannot listen on ${options.host}:${options.port}: ${reason}`,
        {
          field: 'http.port',
        },
      );
    }
    port.draining.addEventListener('abort', this.#onDraining, { once: true });
    this.#beat = setInterval(() => this.#heartbeat(), options.heartbeat);
    this.#beat.unref();
  }

  async #register(app: FastifyInstance): Promise<void> {
    const context = this.#context;
    app.addHook('onRequest', (_, reply, done) => {
      if (!this.#refusing) return done();
      reply.header('connection', 'close');
      done(unavailable('the emesher is draining; use another one'));
    });
    app.setErrorHandler((error, _, reply) => fail(context, 'refused', reply, error));
    app.setNotFoundHandler((request, reply) =>
      fail(
        context,
        'unknown',
        reply,
        notHere(`there is no ${request.method} on this path`, 'path'),
      ),
    );
    await registerOpenApi(app);
    const refuseOtherMethods = watchMethods(app, context);
    registerPublish(app, context);
    registerStreams(app, context, new ResumeMemory());
    registerPull(app, context);
    registerScheduled(app, context);
    registerSettle(app, context);
    registerSubscriptions(app, context);
    registerReplays(app, context);
    registerDeadLetters(app, context);
    registerInspection(app, context);
    refuseOtherMethods();
    await registerDocs(app, context.options);
  }

  addresses(): Readonly<Record<string, string>> {
    const address = this.#app?.server.address() as AddressInfo | null | undefined;
    if (address === null || address === undefined) return {};
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return { http: `${host}:${address.port}` };
  }

  #heartbeat(): void {
    const now = Date.now();
    const { consumers, options, log } = this.#context;
    for (const stream of consumers.streams) stream.beat(now);
    for (const pull of consumers.pulls) {
      if (pull.waiting || now - pull.lastUsedMs < options.pullIdleMax) continue;
      pull
        .close()
        .catch((error: unknown) => log.error({ err: error }, 'a pull consumer did not detach'));
    }
  }

  /** New requests get 503; streams and waiting pulls end. Idempotent. */
  #refuse(): void {
    if (this.#refusing) return;
    this.#refusing = true;
    for (const stream of this.#context.consumers.streams) stream.drain();
  }

  /** Refuses, lets what is in flight finish, cuts what is left at the deadline. Once. */
  async drain(deadlineMs: number): Promise<void> {
    const app = this.#app;
    if (app === undefined) return;
    this.#refuse();
    const { consumers } = this.#context;
    await Promise.all(consumers.pulls.map((pull) => pull.close()));
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    app.server.close(() => resolve());
    for (const socket of this.#silent) socket.destroy();
    // An answer that was under way leaves its connection open and idle.
    const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
    const deadline = setTimeout(() => app.server.closeAllConnections(), deadlineMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(deadline);
    await this.stop();
  }

  async stop(): Promise<void> {
    const app = this.#app;
    if (app === undefined) return;
    this.#app = undefined;
    clearInterval(this.#beat);
    this.#refusing = true;
    const { consumers, port } = this.#context;
    port.draining.removeEventListener('abort', this.#onDraining);
    const streams = [...consumers.streams].map(({ closed }) => closed);
    // Fastify did not start the listening, so it does not end it either.
    if (app.server.listening) app.server.close();
    app.server.closeAllConnections();
    await Promise.all([...streams, ...consumers.pulls.map((pull) => pull.close())]);
    await app.close();
  }
}
