import { NumberMap } from '@eventmesh/collections';
import { MeshError, unavailable } from '@eventmesh/errors';
import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { noAnswer, noConnection, noLeader } from './api-error.ts';
import { ask } from './ask.ts';
import { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';

interface Pending {
  readonly number: number;
  readonly resolve: (message: Msg) => void;
  readonly reject: (error: MeshError) => void;
  readonly deadline: number;
}

/**
 * The client's writer. Not of its public interface, which takes message by message: each would cost
 * two buffers, and all of them a copy more.
 */
interface Commands {
  sendCommand(commands: Uint8Array): void;
}

/** How often deadlines are looked at: one timer for all requests, none of them exact. */
const SWEEP_MS = 100;

/**
 * One connection to a NATS cluster, with a reply inbox of its own: a promise a group commit and
 * none a message. While it is down, nothing is sent and what waits for an answer is told at once
 * that its outcome is unknown.
 */
export class Connection {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly js: JetStreamClient;
  readonly ackTimeoutMs: number;
  /** Readers that pull over it, with what they have read ahead. */
  readonly pulls = new Set<{ readonly bytes: number }>();
  readonly #commands: Commands;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  /** By the number that ends their reply subject. */
  readonly #pending = new NumberMap<Pending>();
  readonly #sweep: NodeJS.Timeout;
  readonly #lost = new Set<() => void>();
  #replies = 0;
  #patienceMs: number;
  #up = true;
  #closed = false;

  /** @throws MeshError Unavailable when no server can be reached, or none knows a leader, in time. */
  static async open(options: JetStreamStoreOptions): Promise<Connection> {
    const timeouts = { ...DEFAULT_JETSTREAM_OPTIONS, ...options };
    let nc: NatsConnection | undefined;
    let connection: Connection | undefined;
    try {
      nc = await connect({
        servers: [...options.servers],
        ...options.credentials,
        name: 'eventmesh-store',
        timeout: timeouts.connectTimeoutMs,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        reconnectJitterTLS: 250,
        pingInterval: 10_000,
        maxPingOut: 2,
        ignoreAuthErrorAbort: true,
      });
      const api = { timeout: timeouts.ackTimeoutMs, checkAPI: false };
      const clients = { jsm: await jetstreamManager(nc, api), js: jetstream(nc, api) };
      connection = new Connection(nc, clients, timeouts);
      await ask(connection, () => clients.jsm.getAccountInfo());
      return connection;
    } catch (error) {
      await (connection?.close() ?? nc?.close());
      const lacks = nc !== undefined && nc.info?.jetstream !== true;
      const hint = lacks ? ' (JetStream is not enabled at the server that was reached)' : '';
      const why = error instanceof MeshError ? `: ${error.message}${hint}` : '';
      throw unavailable(`cannot reach JetStream at ${options.servers.join(', ')}${why}`, error);
    }
  }

  private constructor(
    nc: NatsConnection,
    clients: { readonly jsm: JetStreamManager; readonly js: JetStreamClient },
    timeouts: { readonly connectTimeoutMs: number; readonly ackTimeoutMs: number },
  ) {
    this.nc = nc;
    this.jsm = clients.jsm;
    this.js = clients.js;
    this.ackTimeoutMs = timeouts.ackTimeoutMs;
    this.#patienceMs = timeouts.connectTimeoutMs;
    this.#commands = (nc as unknown as { readonly protocol: Commands }).protocol;
    this.#inbox = `_INBOX.eventmesh.${crypto.randomUUID()}`;
    this.#subscription = nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#settle(message);
      },
    });
    this.#sweep = setInterval(() => this.#expire(), SWEEP_MS);
    this.#sweep.unref();
    void this.#watch();
  }

  get up(): boolean {
    return this.#up && !this.#closed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How long a call is made again while nobody leads who could answer it, in ms. */
  get patienceMs(): number {
    return this.#patienceMs;
  }

  /** From now on calls wait as long as appends do; until then, servers may take their time to start. */
  started(): void {
    this.#patienceMs = this.ackTimeoutMs;
  }

  /** @throws MeshError Unavailable while there is no connection. */
  checkUp(): void {
    if (this.#closed) throw unavailable('the store is closed');
    if (!this.#up) throw noConnection('the connection to JetStream is down; it is being restored');
  }

  /** Told each time the connection is lost or closed; the result ends that. */
  onLost(run: () => void): () => void {
    this.#lost.add(run);
    return () => this.#lost.delete(run);
  }

  /** A reply subject and the answer that will come to it, or Unavailable. */
  expectReply(): { readonly reply: string; readonly answer: Promise<Msg> } {
    this.checkUp();
    const number = ++this.#replies;
    const reply = `${this.#inbox}.${number}`;
    const deadline = Date.now() + this.ackTimeoutMs;
    const answer = new Promise<Msg>((resolve, reject) => {
      this.#pending.set(number, { number, resolve, reject, deadline });
    });
    return { reply, answer };
  }

  /** Sends whole commands of the client protocol behind what the client has to send. */
  write(commands: Uint8Array): void {
    this.#commands.sendCommand(commands);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#failAll(unavailable('the store is closed'));
    for (const run of this.#lost) run();
    this.#subscription.unsubscribe();
    await this.nc.close();
  }

  #settle(message: Msg): void {
    const pending = this.#pending.get(Number(message.subject.slice(this.#inbox.length + 1)));
    if (pending === undefined) return; // Too late: its outcome was told as unknown.
    this.#pending.delete(pending.number);
    if (message.headers?.code === 503) pending.reject(noLeader());
    else pending.resolve(message);
  }

  #expire(): void {
    const now = Date.now();
    for (const pending of [...this.#pending.values()]) {
      if (pending.deadline > now) continue;
      this.#pending.delete(pending.number);
      pending.reject(noAnswer(this.ackTimeoutMs));
    }
  }

  #failAll(error: MeshError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') {
        this.#up = false;
        this.#failAll(
          noConnection('the connection to JetStream was lost; the outcome is not known'),
        );
        for (const run of this.#lost) run();
      } else if (status.type === 'reconnect') {
        this.#up = true;
      }
    }
    this.#up = false;
  }
}
