import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MeshError } from '@eventmesh/errors';
import type { Metrics } from '@eventmesh/telemetry';
import type { Readiness } from './readiness.ts';

/** Probes and scrapers need few; more are closed at once. */
const CONNECTIONS_MAX = 256;

/**
 * /livez, /readyz and /metrics on a port of their own, so that a busy data port cannot starve them.
 * Liveness never fails from load: it only says that the event loop turns.
 */
export class AdminServer {
  readonly #server: Server;
  readonly #options: { readonly host: string; readonly port: number };

  constructor(
    options: { readonly host: string; readonly port: number },
    readiness: Readiness,
    metrics: Metrics,
  ) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://admin').pathname;
      if (path === '/livez') {
        response.end('ok\n');
      } else if (path === '/readyz') {
        response.statusCode = readiness.ready ? 200 : 503;
        const waiting = readiness.waitingFor.join(', ');
        response.end(readiness.ready ? 'ready\n' : `not ready: ${waiting}\n`);
      } else if (path === '/metrics') {
        metrics.render().then(
          (text) => response.setHeader('content-type', metrics.contentType).end(text),
          (error: unknown) => {
            response.statusCode = 500;
            response.end(`${String(error)}\n`);
          },
        );
      } else {
        response.statusCode = 404;
        response.end('try /livez, /readyz or /metrics\n');
      }
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.headersTimeout = 10_000;
    this.#server.requestTimeout = 30_000;
  }

  get port(): number {
    const address = this.#server.address() as AddressInfo | null;
    return address?.port ?? 0;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(
          new MeshError('Unavailable', `cannot listen on ${host}:${port}: ${error.message}`, {
            field: 'admin.port',
          }),
        ),
      );
      this.#server.listen(port, host, resolve);
    });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
