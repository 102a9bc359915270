import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import type { MemberSchema, RegistryService } from '@eventmesh/proto-gen/registry';
import type { Client } from '@eventmesh/rpc';
import { Backoff, pause } from '@eventmesh/time';

/**
 * - `joining`: no lease yet, or a new one is being asked for;
 * - `held`: the registry has confirmed the lease within its time;
 * - `unconfirmed`: its time passed without word from the registry. Others may own by now what this
 *   member owned: go on only where the store checks the fencing epoch;
 * - `lost`: the registry said that it has ended; all that hung on it is gone.
 */
export type LeaseState = 'joining' | 'held' | 'unconfirmed' | 'lost';

export interface LeaseOptions {
  readonly client: Client<typeof RegistryService>;
  readonly member: MessageInitShape<typeof MemberSchema>;
  /** Addresses that are known only once its servers listen; it joins when they are. */
  readonly located?:
    Promise<Pick<MessageInitShape<typeof MemberSchema>, 'grpcAddress' | 'httpAddress'>> | undefined;
  readonly ttlMs: number;
  readonly onState: (state: LeaseState, leaseId: string | undefined) => void;
  readonly onContact: () => void;
  readonly onError: (error: MeshError) => void;
}

/** The part of its time after which a lease is renewed. */
const RENEW_AT = 1 / 5;
/** Longest time that the registry has for an answer. */
const CALL_MS_MAX = 5000;
/** Shortest time that it has to renew a lease. */
const RENEWAL_MS_MIN = 1000;
/** Longest pause after a renewal that failed. */
const RETRY_MS_MAX = 500;

/** Joins as a member, keeps the lease alive, and joins anew when it has ended. */
export class RegistryLease {
  readonly #options: LeaseOptions;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff({ baseMs: 100, maxMs: 2000 });
  readonly #running: Promise<void>;
  #leaseId: string | undefined;
  #state: LeaseState = 'joining';
  #routingVersion = 0n;
  /** Ends the wait between two renewals. */
  #renewNow = new AbortController();
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** Throws Unavailable while this process is no member. */
  get id(): string {
    if (this.#leaseId === undefined) throw unavailable('this process is not a member of its site');
    return this.#leaseId;
  }

  /** Renews now, not in its time. */
  renew(): void {
    this.#renewNow.abort();
  }

  /** Tells the registry at once which routing table this member routes by. */
  routesBy(version: bigint): void {
    this.#routingVersion = version;
    this.renew();
  }

  /** Leaves, when the registry can be told, and stops. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearTimeout(this.#expiry);
    await this.#running;
    if (this.#leaseId === undefined) return;
    try {
      await this.#options.client.leave({ leaseId: this.#leaseId }, { timeoutMs: 1000 });
    } catch (error) {
      // The lease ends by itself.
      this.#options.onError(MeshError.from(error));
    }
    this.#leaseId = undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const leaseTtlMs = await this.#join();
        this.#backoff.reset();
        await this.#keep(leaseTtlMs);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onError(MeshError.from(error));
        await pause(this.#backoff.nextMs(), signal);
      }
    }
  }

  async #join(): Promise<number> {
    const { client, ttlMs, onContact } = this.#options;
    const member = { ...this.#options.member, ...(await this.#options.located) };
    const startedAt = performance.now();
    const reply = await client.join({ member, ttlMs: BigInt(ttlMs) }, this.#call());
    onContact();
    this.#leaseId = reply.leaseId;
    this.#confirmed(startedAt, Number(reply.ttlMs));
    return Number(reply.ttlMs);
  }

  /** Renews until the lease has ended or the member closes; survives a registry that is away. */
  async #keep(ttlMs: number): Promise<void> {
    const { client, onContact, onError } = this.#options;
    const { signal } = this.#closing;
    // A new lease knows nothing of the table yet.
    let told = 0n;
    let waitMs = ttlMs * RENEW_AT;
    while (!signal.aborted) {
      this.#renewNow = new AbortController();
      if (this.#routingVersion === told) {
        await pause(waitMs, AbortSignal.any([signal, this.#renewNow.signal]));
      }
      if (signal.aborted) return;
      const startedAt = performance.now();
      const routingVersion = this.#routingVersion;
      try {
        // One that hangs must not take the time in which another one could succeed.
        const timeoutMs = Math.max(RENEWAL_MS_MIN, Math.min(CALL_MS_MAX, ttlMs / 2));
        await client.keepAlive({ leaseId: this.id, routingVersion }, this.#call(timeoutMs));
        onContact();
        told = routingVersion;
        waitMs = ttlMs * RENEW_AT;
        this.#confirmed(startedAt, ttlMs);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (signal.aborted) return;
        onError(error);
        if (error.code === 'NotFound') {
          this.#leaseId = undefined;
          this.#enter('lost');
          return;
        }
        await pause(Math.min(ttlMs / 10, RETRY_MS_MAX), signal);
        waitMs = 0;
      }
    }
  }

  /** Counted from the start of the call, so that the member gives up before the registry does. */
  #confirmed(startedAt: number, ttlMs: number): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#expiry);
    const left = Math.max(0, ttlMs - (performance.now() - startedAt));
    this.#expiry = setTimeout(() => this.#enter('unconfirmed'), left);
    this.#enter('held');
  }

  #enter(state: LeaseState): void {
    if (state === 'lost') clearTimeout(this.#expiry);
    if (state === this.#state || this.#closing.signal.aborted) return;
    this.#state = state;
    this.#options.onState(state, this.#leaseId);
  }

  #call(timeoutMs = CALL_MS_MAX) {
    return { timeoutMs, signal: this.#closing.signal };
  }
}
