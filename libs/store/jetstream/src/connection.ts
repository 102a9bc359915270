import { MeshError, unavailable } from '@eventmesh/errors';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';

interface Pending {
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

const NO_ANSWER =
  'JetStream did not answer in time; a stream without a majority of its replicas has no leader to answer';

const NO_STREAM = 'no stream answers; without a majority of its replicas it has no leader';

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
  readonly ackTimeoutMs: number;
  /** Readers that pull over it, with what they have read ahead. */
  readonly pulls = new Set<{ readonly bytes: number }>();
  readonly #commands: Commands;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #pending = new Map<string, Pending>();
  readonly #sweep: NodeJS.Timeout;
  readonly #lost = new Set<() => void>();
  #replies = 0;
  #up = true;
  #closed = false;

  static async open(options: JetStreamStoreOptions): Promise<Connection> {
    const { connectTimeoutMs, ackTimeoutMs } = { ...DEFAULT_JETSTREAM_OPTIONS, ...options };
    let nc: NatsConnection | undefined;
    try {
      nc = await connect({
        servers: [...options.servers],
        ...options.credentials,
        name: 'eventmesh-store',
        timeout: connectTimeoutMs,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        reconnectJitterTLS: 250,
        pingInterval: 10_000,
        maxPingOut: 2,
        ignoreAuthErrorAbort: true,
      });
      const jsm = await jetstreamManager(nc, { timeout: ackTimeoutMs });
      return new Connection(nc, jsm, ackTimeoutMs);
    } catch (error) {
      await nc?.close();
      throw unavailable(`cannot reach JetStream at ${options.servers.join(', ')}`, error);
    }
  }

  private constructor(nc: NatsConnection, jsm: JetStreamManager, ackTimeoutMs: number) {
    this.nc = nc;
    this.jsm = jsm;
    this.ackTimeoutMs = ackTimeoutMs;
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

  /** @throws MeshError Unavailable while there is no connection. */
  checkUp(): void {
    if (this.#closed) throw unavailable('the store is closed');
    if (!this.#up) throw unavailable('the connection to JetStream is down; it is being restored');
  }

  /** Told each time the connection is lost or closed; the result ends that. */
  onLost(run: () => void): () => void {
    this.#lost.add(run);
    return () => this.#lost.delete(run);
  }

  /** A reply subject and the answer that will come to it, or Unavailable. */
  expectReply(): { readonly reply: string; readonly answer: Promise<Msg> } {
    this.checkUp();
    const reply = `${this.#inbox}.${++this.#replies}`;
    const deadline = Date.now() + this.ackTimeoutMs;
    const answer = new Promise<Msg>((resolve, reject) => {
      this.#pending.set(reply, { resolve, reject, deadline });
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
    this.#failAll('the store is closed');
    for (const run of this.#lost) run();
    this.#subscription.unsubscribe();
    await this.nc.close();
  }

  #settle(message: Msg): void {
    const pending = this.#pending.get(message.subject);
    if (pending === undefined) return; // Too late: its outcome was told as unknown.
    this.#pending.delete(message.subject);
    if (message.headers?.code === 503) pending.reject(unavailable(NO_STREAM));
    else pending.resolve(message);
  }

  #expire(): void {
    const now = Date.now();
    for (const [reply, pending] of this.#pending) {
      if (pending.deadline > now) continue;
      this.#pending.delete(reply);
      pending.reject(unavailable(`${NO_ANSWER} (${this.ackTimeoutMs} ms)`));
    }
  }

  #failAll(reason: string): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(unavailable(reason));
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') {
        this.#up = false;
        this.#failAll('the connection to JetStream was lost; the outcome is not known');
        for (const run of this.#lost) run();
      } else if (status.type === 'reconnect') {
        this.#up = true;
      }
    }
    this.#up = false;
  }
}

/** Stable error codes of the JetStream API (server/errors.json). */
export const API_ERROR = Object.freeze({
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  wrongLastSequenceConstant: 10164,
  insufficientResources: 10023,
  storageExceeded: 10047,
  memoryExceeded: 10028,
  messageSizeExceeded: 10054,
  batchIncomplete: 10176,
  clusterNotAvailable: 10008,
});

/** The code of an error that the JetStream client threw, or 0. */
export function apiCode(error: unknown): number {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : 0;
}

/**
 * Whether a failed call was answered for good: a server without a leader, as between two of them,
 * answers too (503), and knows nothing.
 */
export const isAnswer = (error: unknown): boolean =>
  apiCode(error) !== 0 && (error as { status?: unknown }).status !== 503;

/** What a failed call of the JetStream API means to us; total. */
export function fromJetStream(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const code = apiCode(error);
  const full: number[] = [
    API_ERROR.insufficientResources,
    API_ERROR.storageExceeded,
    API_ERROR.memoryExceeded,
  ];
  if (full.includes(code)) {
    return new MeshError(
      'ResourceExhausted',
      'JetStream has no room left; nothing was stored',
      { reason: 'DISK_FULL', retryAfterMs: 5000 },
      error,
    );
  }
  if (code === API_ERROR.batchIncomplete) {
    return unavailable(
      'nats-server did not write the whole batch: its disk is full or failing, see its log; after ' +
        'such an error it writes to the stream again only when it is started anew',
      error,
    );
  }
  if (code === API_ERROR.clusterNotAvailable) {
    return unavailable('JetStream has no majority of its servers and takes nothing', error);
  }
  if (error instanceof Error && error.name === 'TimeoutError') return unavailable(NO_ANSWER, error);
  return unavailable('JetStream did not do what was asked', error);
}
