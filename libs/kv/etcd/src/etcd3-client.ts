/**
 * The only file that knows the `etcd3` package. It is used for its generated calls and types alone:
 * retries, watches and leases are ours, and its errors, which it recognises by their text, become
 * `MeshError` here.
 */
import {
  BrokenCircuitError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
  noop,
  type IPolicy,
} from 'cockatiel';
import {
  ClientClosedError,
  castGrpcError,
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCAbortedError,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCInternalError,
  GRPCInvalidArgumentError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  GRPCUnavailableError,
  GRPCUnknownError,
  type IKeyValue,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchResponse,
} from 'etcd3';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import type { CompiledOptions } from './options.ts';

export type { IKeyValue, IRangeResponse, ITxnRequest, ITxnResponse, IWatchResponse };

/** Largest answer taken, in bytes; a page beyond it is asked for again in halves. */
const RECEIVE_BYTES_MAX = 16_777_216;
/** How long a server that failed is left out, in milliseconds, while there are others. */
const LEFT_OUT_MS = 2000;
/** Servers are taken at random: so often for each that one that lives is found. */
const TRIES_PER_SERVER = 4;

export class Etcd3Client {
  readonly #client: Etcd3;
  readonly #timeoutMs: number;
  readonly #triesMax: number;

  constructor(options: CompiledOptions) {
    const { tls, auth, endpoints } = options;
    const alone = endpoints.length === 1;
    this.#timeoutMs = options.callTimeoutMs;
    this.#triesMax = alone ? 1 : TRIES_PER_SERVER * endpoints.length;
    this.#client = new Etcd3({
      hosts: [...endpoints],
      ...(auth === undefined ? {} : { auth: { ...auth, callOptions: () => this.#deadline() } }),
      ...(tls === undefined ? {} : { credentials: credentialsOf(tls) }),
      defaultCallOptions: (context) => (context.isStream ? {} : this.#deadline()),
      // A repeated write could lose a compare against its own first attempt; and a server without
      // others must not be left out, which would refuse calls after it is back.
      faultHandling: { host: () => (alone ? noop : leaveOutFailed()), global: noop },
      grpcOptions: {
        'grpc.keepalive_time_ms': options.probeIntervalMs,
        'grpc.keepalive_timeout_ms': Math.ceil(options.probeIntervalMs / 2),
        'grpc.max_receive_message_length': RECEIVE_BYTES_MAX,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 2000,
      },
    });
  }

  range(request: {
    key: Buffer;
    range_end?: Buffer;
    limit?: number;
    count_only?: boolean;
  }): Promise<IRangeResponse> {
    return this.#call(() => this.#client.kv.range(request));
  }

  transact(request: ITxnRequest): Promise<ITxnResponse> {
    return this.#call(() => this.#client.kv.txn(request));
  }

  async put(key: Buffer, value: Buffer, lease: string): Promise<number> {
    const answer = await this.#call(() => this.#client.kv.put({ key, value, lease }));
    return Number(answer.header.revision);
  }

  async compact(revision: number): Promise<void> {
    await this.#call(() => this.#client.kv.compact({ revision, physical: true }));
  }

  /** @returns the lease's id and the time granted, in seconds */
  async grantLease(ttlSeconds: number): Promise<{ id: string; ttlSeconds: number }> {
    const answer = await this.#call(() => this.#client.leaseClient.leaseGrant({ TTL: ttlSeconds }));
    return { id: answer.ID, ttlSeconds: Number(answer.TTL) };
  }

  async revokeLease(id: string): Promise<void> {
    await this.#call(() => this.#client.leaseClient.leaseRevoke({ ID: id }));
  }

  /** Renews once, on a stream of its own. @returns whether the lease still lives */
  renewLease(id: string): Promise<boolean> {
    return this.#call(async () => {
      const stream = await this.#client.leaseClient.leaseKeepAlive(this.#deadline());
      try {
        return await new Promise<boolean>((resolve, reject) => {
          stream.on('data', (answer) => {
            resolve(Number(answer.TTL) > 0);
          });
          stream.on('error', reject);
          stream.on('end', () => {
            reject(new GRPCUnavailableError('the keep-alive stream ended'));
          });
          stream.write({ ID: id });
        });
      } finally {
        stream.end();
        stream.cancel();
      }
    });
  }

  /** Opens one watch. Its answers are read at the pace of the caller; leaving the loop ends it. */
  async *watch(
    range: { key: Buffer; range_end?: Buffer },
    startRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<IWatchResponse, void> {
    const stream = await this.#call(() => this.#client.watchClient.watch());
    const end = () => {
      // Ended first: the package takes an error on a stream that is still writable for a failure
      // of the server and drops every connection to it.
      stream.end();
      stream.cancel();
    };
    signal.addEventListener('abort', end, { once: true });
    try {
      // It may have aborted while the stream was opened, before anybody listened.
      if (signal.aborted) return;
      stream.write({ create_request: { ...range, start_revision: startRevision, fragment: true } });
      // Declared as an event emitter by the package; it is grpc-js's duplex, hence a readable.
      yield* stream as unknown as AsyncIterable<IWatchResponse>;
    } catch (error) {
      if (!signal.aborted) throw toMeshError(error);
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  }

  close(): void {
    this.#client.close();
  }

  #deadline(): { deadline: number } {
    return { deadline: Date.now() + this.#timeoutMs };
  }

  /** What never left for a server that is down is made again at another, even a write. */
  async #call<T>(run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run();
      } catch (error) {
        if (tries >= this.#triesMax || !neverSent(error)) throw toMeshError(error);
      }
    }
  }
}

/** So that calls do not go on to fail, or to wait, at a server that is down while others answer. */
function leaveOutFailed(): IPolicy {
  const failed = (error: Error) =>
    ['Unavailable', 'DeadlineExceeded'].includes(toMeshError(error).code);
  return circuitBreaker(handleWhen(failed), {
    halfOpenAfter: LEFT_OUT_MS,
    breaker: new ConsecutiveBreaker(1),
  });
}

/** grpc-js says only in its text that there was no connection to send the call on. */
const neverSent = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('No connection established');

function credentialsOf(tls: NonNullable<CompiledOptions['tls']>) {
  return {
    rootCertificate: Buffer.from(tls.ca),
    ...(tls.key === undefined ? {} : { privateKey: Buffer.from(tls.key) }),
    ...(tls.cert === undefined ? {} : { certChain: Buffer.from(tls.cert) }),
  };
}

type ErrorClass = abstract new (...args: never[]) => Error;

const CODES: readonly (readonly [ErrorClass, MeshCode, string])[] = [
  [EtcdPermissionDeniedError, 'PermissionDenied', 'etcd refuses this user that key'],
  [EtcdAuthenticationFailedError, 'Unauthenticated', 'etcd refuses the user name or password'],
  [EtcdInvalidAuthTokenError, 'Unauthenticated', 'etcd refuses the token of this session'],
  [GRPCUnauthenticatedError, 'Unauthenticated', 'etcd asks for authentication'],
  [GRPCDeadlineExceededError, 'DeadlineExceeded', 'etcd did not answer in time'],
  [GRPCUnavailableError, 'Unavailable', 'etcd cannot be reached'],
  [GRPCCancelledError, 'Unavailable', 'the connection to etcd was closed'],
  [GRPCInternalError, 'Unavailable', 'the connection to etcd failed'],
  [GRPCUnknownError, 'Unavailable', 'etcd failed for an unknown reason'],
  [GRPCAbortedError, 'Unavailable', 'etcd gave the call up'],
  [ClientClosedError, 'Unavailable', 'this Kv is closed'],
  [BrokenCircuitError, 'Unavailable', 'none of the etcd servers answered just now'],
  [
    GRPCResourceExhastedError,
    'ResourceExhausted',
    'etcd is out of a resource (space, rate or size)',
  ],
  [GRPCInvalidArgumentError, 'InvalidArgument', 'etcd refuses the request'],
  [GRPCOutOfRangeError, 'FailedPrecondition', 'etcd no longer has that revision'],
];

/** Total: what cannot be told apart is Internal, with its cause kept. */
export function toMeshError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const error = thrown instanceof Error ? castGrpcError(thrown) : thrown;
  if (error instanceof EtcdLeaseInvalidError) {
    return new MeshError(
      'NotFound',
      'the lease has ended; grant a new one and write its keys again',
      { field: 'lease', reason: 'LEASE_NOT_FOUND' },
      error,
    );
  }
  const row = CODES.find(([errorClass]) => error instanceof errorClass);
  return row === undefined ? MeshError.from(error) : new MeshError(row[1], row[2], {}, error);
}
