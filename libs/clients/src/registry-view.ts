import { equals, type MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import type { DeliveryClass } from '@eventmesh/proto-gen/event';
import {
  MemberSchema,
  type AwaitConvergenceResponse,
  type GetOwnerResponse,
  type GetSubscriptionResponse,
  type GetTopologyResponse,
  type Member,
  type PutSubscriptionResponse,
  type RegistryService,
  type Route,
  type RoutingTable,
  type Snapshot,
  type WatchResponse,
} from '@eventmesh/proto-gen/registry';
import type { Subscription, SubscriptionSchema } from '@eventmesh/proto-gen/subscriber';
import { InterestTable } from '@eventmesh/routing';
import type { Client } from '@eventmesh/rpc';
import type { Logger } from '@eventmesh/telemetry';
import { Backoff, pause } from '@eventmesh/time';
import { RegistryDepartures } from './registry-departures.ts';
import { RegistryLease, type LeaseState } from './registry-lease.ts';
import { subscriptionKey, type SubscriptionKey } from './subscription-key.ts';

/** What changed. State that is read in a listener includes the change. */
export type RegistryChange =
  | {
      readonly type: 'subscription';
      readonly key: SubscriptionKey;
      readonly current: Subscription | undefined;
      readonly previous: Subscription | undefined;
    }
  | {
      readonly type: 'member';
      readonly id: string;
      readonly current: Member | undefined;
      readonly previous: Member | undefined;
    }
  /** Routes or remote interest. */
  | { readonly type: 'routing' }
  | {
      readonly type: 'lease';
      readonly state: LeaseState;
      readonly leaseId: string | undefined;
    }
  /** Whether changes arrive as they happen; while not, the last good state is kept. */
  | { readonly type: 'connection'; readonly connected: boolean };

export interface RegistryViewOptions {
  readonly client: Client<typeof RegistryService>;
  /** This process. Its id should be new with each start: the old one lives on until its lease ends. */
  readonly member: MessageInitShape<typeof MemberSchema>;
  /** Addresses that are known only once its servers listen; it joins the site when they are. */
  readonly located?: Promise<
    Pick<MessageInitShape<typeof MemberSchema>, 'grpcAddress' | 'httpAddress'>
  >;
  /** Time of the member's lease in milliseconds, 1,000 to 60,000. Default 5,000. */
  readonly ttlMs?: number;
  /** Longest pause between two attempts to reach the registry, in milliseconds. Default 2,000. */
  readonly reconnectMaxMs?: number;
  /** Most topics whose destinations are remembered. Default 10,000. */
  readonly cachedTopicsMax?: number;
  readonly log: Logger;
}

/** Times that an older state is refused before it counts as a store that was restored. */
const OLDER_REFUSED_MAX = 5;

/**
 * The registry as a member of the site sees it: a copy of subscriptions, members, routes and remote
 * interest that is followed by one watch, and a lease that is kept alive. While the registry is
 * away the last good state stays, with its age in `ageMs`; only what would change state fails, as
 * Unavailable. `close` leaves the site.
 */
export class RegistryView {
  /** Resolves with the first snapshot and the first lease; rejects when closed before. */
  readonly ready: Promise<void>;
  readonly #options: RegistryViewOptions;
  readonly #client: Client<typeof RegistryService>;
  readonly #subscriptions = new Map<SubscriptionKey, Subscription>();
  readonly #members = new Map<string, Member>();
  readonly #routes = new Map<string, Route>();
  readonly #lastHops = new Map<string, string>();
  readonly #interest: InterestTable;
  readonly #listeners = new Set<(change: RegistryChange) => void>();
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  readonly #lease: RegistryLease;
  readonly #departures: RegistryDepartures;
  readonly #watching: Promise<void>;
  #latches = new Set(['snapshot', 'lease']);
  #resolveReady: () => void = () => undefined;
  #rejectReady: (error: MeshError) => void = () => undefined;
  #revision = 0n;
  #olderRefused = 0;
  #connected = false;
  #contactMs = performance.now();

  constructor(options: RegistryViewOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#backoff = new Backoff({ baseMs: 50, maxMs: options.reconnectMaxMs ?? 2000 });
    const { cachedTopicsMax } = options;
    this.#interest = new InterestTable(cachedTopicsMax === undefined ? {} : { cachedTopicsMax });
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever never asks for `ready` must not be ended by its rejection at close.
    this.ready.catch(() => undefined);
    this.#lease = new RegistryLease({
      client: options.client,
      member: options.member,
      located: options.located,
      ttlMs: options.ttlMs ?? 5000,
      onContact: () => this.#contact(),
      onError: (error) => this.#failed('the lease of this member could not be renewed', error),
      onState: (state, leaseId) => {
        if (state === 'held') this.#release('lease');
        this.#emit({ type: 'lease', state, leaseId });
      },
    });
    this.#departures = new RegistryDepartures(options.ttlMs ?? 5000, (id) => this.#memberLeft(id));
    this.#watching = this.#watch();
  }

  get subscriptions(): ReadonlyMap<SubscriptionKey, Subscription> {
    return this.#subscriptions;
  }

  /** By id. */
  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  /** By destination site. */
  get routes(): ReadonlyMap<string, Route> {
    return this.#routes;
  }

  get leaseState(): LeaseState {
    return this.#lease.state;
  }

  get leaseId(): string {
    return this.#lease.id;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Milliseconds since the registry was last heard while the watch was open. */
  get ageMs(): number {
    return Math.round(performance.now() - this.#contactMs);
  }

  /** Raised by every change of remote interest: for caches on top of `destinationsFor`. */
  get interestVersion(): number {
    return this.#interest.version;
  }

  /** Other sites that want a topic, in order; shared, do not change it. */
  destinationsFor(tenant: string, topic: string, deliveryClass: DeliveryClass): readonly string[] {
    return this.#interest.destinationsFor(tenant, topic, deliveryClass);
  }

  /**
   * The neighbour that is next on the way to a site. A site that cannot be reached now keeps the
   * hop it had last: its events wait on that link, which may well be alive (the registries lost
   * each other) and costs nothing when it is not. Undefined for a site never reached.
   */
  nextHop(site: string): string | undefined {
    return this.#routes.get(site)?.nextHop ?? this.#lastHops.get(site);
  }

  /** Calls back after each change; what a listener throws is logged. Returns how to stop it. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes ownership of a name and returns its fencing epoch. Throws Aborted (reason OWNED) while
   * another member owns it, Unavailable while there is no lease or no registry.
   * @param resumeEpoch of what this member owned until its lease ended, to go on with it; 0 (the
   * default): a new ownership. Throws Aborted (reason EPOCH_ENDED) when it cannot be resumed.
   */
  async acquire(name: string, resumeEpoch = 0n): Promise<bigint> {
    const memberId = this.#options.member.id ?? '';
    const wanted = { name, memberId, leaseId: this.#lease.id, resumeEpoch };
    return (await this.#change(this.#client.acquire(wanted))).epoch;
  }

  async release(name: string): Promise<void> {
    await this.#change(this.#client.release({ name, leaseId: this.#lease.id }));
  }

  owner(name: string): Promise<GetOwnerResponse> {
    return this.#change(this.#client.getOwner({ name }));
  }

  /**
   * Creates or replaces a subscription; an ephemeral one hangs on this member's lease.
   * @param expectedRevision 0: whatever is there (the default); -1: must not exist
   */
  putSubscription(
    subscription: MessageInitShape<typeof SubscriptionSchema>,
    expectedRevision = 0n,
  ): Promise<PutSubscriptionResponse> {
    const leaseId = subscription.ephemeral === true ? this.#lease.id : '';
    return this.#change(this.#client.putSubscription({ subscription, expectedRevision, leaseId }));
  }

  /** As the registry has it now, though this view may not have heard of it yet. @throws NotFound */
  subscription(tenant: string, name: string): Promise<GetSubscriptionResponse> {
    return this.#change(this.#client.getSubscription({ tenant, name }));
  }

  async deleteSubscription(tenant: string, name: string): Promise<void> {
    await this.#change(this.#client.deleteSubscription({ tenant, name }));
  }

  /** @param timeoutMs 1 to 60,000 */
  awaitConvergence(interestVersion: bigint, timeoutMs: number): Promise<AwaitConvergenceResponse> {
    return this.#change(
      this.#client.awaitConvergence(
        { interestVersion, timeoutMs: BigInt(Math.ceil(timeoutMs)) },
        { timeoutMs: timeoutMs + 5000 },
      ),
    );
  }

  topology(): Promise<GetTopologyResponse> {
    return this.#change(this.#client.getTopology({}));
  }

  /** Leaves the site and stops following. The state stays readable. May be called twice. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#departures.close();
    this.#rejectReady(new MeshError('Cancelled', 'the view of the registry is closed'));
    await Promise.all([this.#lease.close(), this.#watching]);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const changes = this.#client.watch({ afterRevision: this.#revision }, { signal });
        for await (const change of changes) {
          if (signal.aborted) return;
          if (!this.#connected && this.#revision > 0n) this.#departures.returned();
          this.#apply(change);
          this.#backoff.reset();
          this.#connect(true);
          this.#contact();
        }
      } catch (thrown) {
        if (signal.aborted) return;
        this.#failed('the watch of the registry failed; the last state stays', thrown);
      }
      this.#connect(false);
      await pause(this.#backoff.nextMs(), signal);
    }
  }

  #apply({ revision, change }: WatchResponse): void {
    if (revision < this.#revision && this.#refuseOlder(revision)) {
      throw unavailable(`the registry shows revision ${revision}, ${this.#revision} was seen`);
    }
    switch (change.case) {
      case 'snapshot':
        this.#applySnapshot(change.value);
        break;
      case 'subscription':
        this.#setSubscription(change.value);
        break;
      case 'subscriptionDeleted':
        this.#deleteSubscription(subscriptionKey(change.value));
        break;
      case 'member':
        this.#setMember(change.value);
        break;
      case 'memberLeft':
        this.#departures.left(change.value);
        break;
      case 'routing':
        this.#setRouting(change.value);
        break;
      case undefined:
        break;
    }
    this.#revision = revision;
  }

  /** A replica that lags must not take the view back; a store that was restored may, in the end. */
  #refuseOlder(revision: bigint): boolean {
    this.#olderRefused++;
    if (this.#olderRefused <= OLDER_REFUSED_MAX) return true;
    this.#olderRefused = 0;
    const facts = { revision: String(revision), seen: String(this.#revision) };
    this.#options.log.warn(facts, 'the registry went back in time and stays there; following it');
    return false;
  }

  #applySnapshot(snapshot: Snapshot): void {
    const gone = new Set(this.#subscriptions.keys());
    for (const subscription of snapshot.subscriptions) {
      gone.delete(subscriptionKey(subscription));
      this.#setSubscription(subscription);
    }
    for (const key of gone) this.#deleteSubscription(key);
    const left = new Set(this.#members.keys());
    for (const member of snapshot.members) {
      left.delete(member.id);
      this.#setMember(member);
    }
    for (const id of left) this.#departures.left(id);
    if (snapshot.routing !== undefined) this.#setRouting(snapshot.routing);
    this.#release('snapshot');
  }

  #setSubscription(current: Subscription): void {
    const key = subscriptionKey(current);
    const previous = this.#subscriptions.get(key);
    if (previous?.revision === current.revision) return;
    this.#subscriptions.set(key, current);
    this.#emit({ type: 'subscription', key, current, previous });
  }

  #deleteSubscription(key: SubscriptionKey): void {
    const previous = this.#subscriptions.get(key);
    if (!this.#subscriptions.delete(key)) return;
    this.#emit({ type: 'subscription', key, current: undefined, previous });
  }

  #setMember(current: Member): void {
    const { id } = current;
    this.#departures.here(id);
    const previous = this.#members.get(id);
    if (previous !== undefined && equals(MemberSchema, previous, current)) return;
    this.#members.set(id, current);
    this.#emit({ type: 'member', id, current, previous });
  }

  #memberLeft(id: string): void {
    const previous = this.#members.get(id);
    if (!this.#members.delete(id)) return;
    this.#emit({ type: 'member', id, current: undefined, previous });
  }

  #setRouting(table: RoutingTable): void {
    this.#routes.clear();
    for (const route of table.routes) {
      this.#routes.set(route.destination, route);
      this.#lastHops.set(route.destination, route.nextHop);
    }
    this.#interest.update(table.remote);
    this.#emit({ type: 'routing' });
    // After the listeners: what is told here is that this process routes by the table.
    this.#lease.routesBy(table.version);
  }

  async #change<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.reason === 'LEASE_NOT_FOUND') {
        // It says so sooner than the next renewal would have.
        this.#lease.renew();
        throw unavailable('the lease of this process has ended; it joins its site again', error);
      }
      if (error.code !== 'Unavailable' && error.code !== 'DeadlineExceeded') throw error;
      throw unavailable(`the registry is away: ${error.message}`, error);
    }
  }

  #contact(): void {
    if (this.#connected) this.#contactMs = performance.now();
  }

  #connect(connected: boolean): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.#emit({ type: 'connection', connected });
  }

  #release(latch: string): void {
    this.#latches.delete(latch);
    if (this.#latches.size === 0) this.#resolveReady();
  }

  #failed(what: string, thrown: unknown): void {
    const error = MeshError.from(thrown);
    this.#options.log.warn({ code: error.code, reason: error.message, ageMs: this.ageMs }, what);
  }

  #emit(change: RegistryChange): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#options.log.error({ err: error, type: change.type }, 'a registry listener failed');
      }
    }
  }
}
