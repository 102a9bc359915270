import type { Server, Socket } from 'node:net';
import type { Logger } from './logger.ts';
import { CONNECTION_METRICS, type Metrics } from './metrics.ts';

export interface ConnectionBounds {
  /** As in the metrics. */
  readonly server: 'grpc' | 'http';
  /** Connections at a time; the next one is closed before a byte of it is read. */
  readonly max: number;
  /** The key of the configuration that sets `max`, for the log. */
  readonly key: string;
  readonly metrics?: Metrics | undefined;
  readonly log?: Pick<Logger, 'warn'> | undefined;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

/** Refusals are told of again after this long, in ms. */
const AGAIN_MS = 60_000;

/** Bounds and counts the connections of one server, which may listen on several addresses. */
export class Connections {
  readonly #bounds: ConnectionBounds;
  readonly #open = new Map<Server, number>();
  readonly #count: { inc(by: number): void } | undefined;
  readonly #countRefused: { inc(): void } | undefined;
  #toldMs = -Infinity;
  #untold = 0;

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
    const live = bounds.metrics?.use(CONNECTION_METRICS);
    this.#count = live?.open.labels(bounds.server);
    this.#countRefused = live?.refused.labels(bounds.server);
  }

  /** Connections that are open now. */
  get open(): number {
    let sum = 0;
    for (const count of this.#open.values()) sum += count;
    return sum;
  }

  /** From here on; best before the server listens. */
  watch(server: Server): void {
    this.#open.set(server, 0);
    this.#changed(server, 0);
    server.on('connection', (socket: Socket) => {
      this.#changed(server, 1);
      socket.once('close', () => this.#changed(server, -1));
    });
    server.on('drop', () => this.#refused());
  }

  #changed(server: Server, by: number): void {
    this.#open.set(server, (this.#open.get(server) ?? 0) + by);
    const { open } = this;
    // Node compares it with the connections of this one address.
    for (const [each, own] of this.#open) each.maxConnections = this.#bounds.max - open + own;
    this.#count?.inc(by);
  }

  #refused(): void {
    this.#countRefused?.inc();
    this.#untold++;
    const { now = () => performance.now(), log, server, max, key } = this.#bounds;
    if (now() - this.#toldMs < AGAIN_MS) return;
    log?.warn(
      { server, limit: max, key, refused: this.#untold },
      'connections are refused: there are as many as may be',
    );
    this.#toldMs = now();
    this.#untold = 0;
  }
}
