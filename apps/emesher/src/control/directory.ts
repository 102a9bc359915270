import { MeshError } from '@eventmesh/errors';
import {
  subscriptionKey,
  type RegistryChange,
  type RegistryView,
  type SubscriptionKey,
} from '@eventmesh/clients';
import { isPartOf, partAs, type Subscription } from '@eventmesh/delivery';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { Member_Kind, type Member } from '@eventmesh/proto-gen/registry';
import type { Logger } from '@eventmesh/telemetry';
import { pause } from '@eventmesh/time';
import { partFromProto, partToProto, storedFromProto, subscriptionToProto } from '@eventmesh/wire';
import { Ownerships } from './ownerships.ts';
import { SubscriptionBook, asPart } from './subscription-book.ts';
import type { SubscriptionCounts } from './subscription-counts.ts';

export interface DirectoryListener {
  /** A subscription was changed (not: made). With a broadcast its parts are, each told by itself. */
  changed?(current: Subscription): void;
  deleted?(tenant: string, name: string): void;
  /** What this emesher owned under an epoch may be another's by now. */
  ownershipLost?(name: string, epoch: number): void;
  memberLeft?(id: string): void;
  /** This emesher owns a name from now on, or still. */
  acquired?(name: string): void;
  /** A name is owned by another member; empty when that is not known. */
  refused?(name: string, member: string): void;
}

/**
 * The registry as the data plane sees it: subscriptions in the core's form, who wants a topic here
 * and elsewhere, ownership. While the registry is away the last good state stays.
 */
export class Directory {
  readonly #view: RegistryView;
  readonly #logger: Logger;
  readonly #member: string;
  readonly #book: SubscriptionBook;
  readonly #listeners = new Set<DirectoryListener>();
  readonly #owned: Ownerships;
  readonly #forget: () => void;
  #sisters: readonly Member[] = [];
  #version = 1;

  /** @param member this emesher's own id */
  constructor(view: RegistryView, logger: Logger, member: string) {
    this.#view = view;
    this.#logger = logger;
    this.#member = member;
    this.#owned = new Ownerships({
      view,
      logger,
      onLost: (name, epoch) => this.#tell((listener) => listener.ownershipLost?.(name, epoch)),
    });
    this.#book = new SubscriptionBook((change) => {
      this.#version++;
      const { type, subscription } = change;
      this.#tell((listener) => {
        if (type === 'changed') listener.changed?.(subscription);
        if (type === 'deleted') listener.deleted?.(subscription.tenant, subscription.name);
      });
    });
    for (const proto of view.subscriptions.values()) this.#book.take(proto);
    this.#findSisters();
    this.#forget = view.onChange((change) => this.#follow(change));
  }

  /** The parts of broadcasts as their wholes are. */
  get subscriptions(): ReadonlyMap<SubscriptionKey, Subscription> {
    return this.#book.subscriptions;
  }

  /** Of `subscriptions`. */
  get counts(): SubscriptionCounts {
    return this.#book.counts;
  }

  /** Changes with interest, routes and subscriptions. */
  get version(): number {
    return this.#version;
  }

  /** Told of what changes from now on. Answers how to stop it. */
  listen(listener: DirectoryListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The other emeshers of this site. */
  get sisters(): readonly Member[] {
    return this.#sisters;
  }

  /** The parts of a broadcast subscription, in the order of their names. */
  partsOf(whole: Pick<Subscription, 'tenant' | 'name'>): Subscription[] {
    return this.#book.partsOf(whole);
  }

  /**
   * A subscription that somebody else is known to have made: it may arrive a moment later.
   * Undefined when it does not within the time.
   */
  async awaited(key: SubscriptionKey, timeoutMs: number): Promise<Subscription | undefined> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const there = this.subscriptions.get(key);
      if (there !== undefined || performance.now() >= end) return there;
      await pause(AWAIT_STEP_MS);
    }
  }

  destinations(tenant: string, topic: string, deliveryClass: 'durable' | 'direct') {
    const wire = deliveryClass === 'direct' ? DeliveryClass.DIRECT : DeliveryClass.DURABLE;
    return this.#view.destinationsFor(tenant, topic, wire);
  }

  /** Whether a subscription of this site and of a class wants a topic. */
  wanted(tenant: string, topic: string, deliveryClass: 'durable' | 'direct'): boolean {
    return this.#book.interest.wants(tenant, topic, deliveryClass);
  }

  nextHop = (site: string): string | undefined => this.#view.nextHop(site);

  /**
   * Takes ownership of a name and answers its fencing epoch. It stays through the end of the lease
   * when nobody else owned the name until there is a new one; else `ownershipLost` tells.
   * @param fenced false: no store refuses what an older owner does, so it is lost with the lease
   * @throws Unavailable: OWNED_ELSEWHERE while another live member owns it, with its address.
   */
  async acquire(name: string, fenced = true): Promise<number> {
    try {
      const epoch = await this.#owned.acquire(name, fenced);
      this.#tell((listener) => listener.acquired?.(name));
      return epoch;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.code !== 'Aborted') throw error;
      const { owner } = await this.#view.owner(name);
      this.#tell((listener) => listener.refused?.(name, owner?.id ?? ''));
      throw new MeshError(
        'Unavailable',
        `${name} is served by ${owner?.id ?? 'another emesher'} at ${owner?.grpcAddress ?? 'an unknown address'}; connect there`,
        {
          reason: 'OWNED_ELSEWHERE',
          retryAfterMs: 1000,
          facts: { member: owner?.id ?? '', grpcAddress: owner?.grpcAddress ?? '' },
        },
        error,
      );
    }
  }

  /** The last epoch at which a name was owned; 0 when it never was. */
  async epochOf(name: string): Promise<number> {
    return Number((await this.#view.owner(name)).epoch);
  }

  /** Gives a name up; when the registry is away the lease does it in time. */
  release(name: string): Promise<void> {
    return this.#owned.release(name);
  }

  /**
   * Stores a subscription; of a part of a broadcast only its own.
   * @param expectedRevision 0: whatever is there; -1: must not exist; else the revision that it has
   */
  async put(
    subscription: Subscription,
    expectedRevision: number,
  ): Promise<{ subscription: Subscription; interestVersion: bigint }> {
    const kept = asPart(subscription);
    const expected = kept && expectedRevision > 0 ? kept.part.revision : expectedRevision;
    const { subscription: stored, interestVersion } = await this.#view.putSubscription(
      kept === undefined ? subscriptionToProto(subscription) : partToProto(kept),
      BigInt(expected),
    );
    if (stored === undefined) {
      throw new MeshError('Internal', 'the registry answered without the subscription');
    }
    // The watch brings it too; whoever made it must not have to wait for that.
    this.#book.take(stored);
    if (kept === undefined) return { subscription: storedFromProto(stored), interestVersion };
    const known = this.subscriptions.get(subscriptionKey(kept));
    return { subscription: known ?? partAs(partFromProto(stored), subscription), interestVersion };
  }

  /** Asks the registry what a subscription is now: the watch may not have brought that yet. */
  async refresh(tenant: string, name: string): Promise<void> {
    const { subscription } = await this.#view.subscription(tenant, name);
    if (subscription !== undefined) this.#book.take(subscription);
  }

  async delete(tenant: string, name: string): Promise<void> {
    await this.#view.deleteSubscription(tenant, name);
    this.#book.delete(subscriptionKey({ tenant, name }));
  }

  /**
   * An ephemeral subscription goes with its last consumer, and its interest with it; a broadcast with
   * its last part.
   */
  async forget(subscription: Subscription): Promise<void> {
    await this.#forgetOne(subscription);
    const kept = asPart(subscription);
    if (kept === undefined) return;
    const { tenant, broadcastOf } = kept;
    const whole = this.subscriptions.get(subscriptionKey({ tenant, name: broadcastOf }));
    if (whole?.ephemeral !== true || !isPartOf(kept, whole)) return;
    if (this.partsOf(whole).length === 0) await this.#forgetOne(whole);
  }

  async #forgetOne({ tenant, name }: Subscription): Promise<void> {
    try {
      await this.delete(tenant, name);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      // Deleted by somebody else: as it should be.
      if (error.code === 'NotFound') return;
      this.#logger.warn(
        { tenant, name, code: error.code },
        'an ephemeral subscription stays until the lease of this emesher ends',
      );
    }
  }

  /** @param interestVersion 0: this site's interest as it is now. */
  async converge(interestVersion: bigint, timeoutMs: number) {
    if (interestVersion === 0n) {
      const { site, sites } = await this.#view.topology();
      interestVersion = sites.find((each) => each.site === site)?.interestVersion ?? 0n;
    }
    const { convergedSites, unreachableSites } = await this.#view.awaitConvergence(
      interestVersion,
      timeoutMs,
    );
    return { convergedSites, unreachableSites };
  }

  topology() {
    return this.#view.topology();
  }

  /** What another emesher has put; the watch brings it too, a moment later. */
  learn(subscription: Subscription): void {
    this.#book.learn(subscription);
  }

  /** What another emesher has deleted. */
  unlearn({ tenant, name }: Pick<Subscription, 'tenant' | 'name'>): void {
    this.#book.delete(subscriptionKey({ tenant, name }));
  }

  close(): void {
    this.#forget();
    this.#owned.close();
  }

  #follow(change: RegistryChange): void {
    if (change.type === 'routing') this.#version++;
    else if (change.type === 'subscription') {
      if (change.current === undefined) this.#book.delete(change.key);
      else this.#book.take(change.current);
    } else if (change.type === 'member') {
      this.#findSisters();
      if (change.current === undefined) this.#tell((listener) => listener.memberLeft?.(change.id));
    } else if (change.type === 'lease') {
      if (change.state === 'lost') this.#owned.lapsed();
      if (change.state === 'held' && change.leaseId !== undefined) {
        void this.#owned.confirmed(change.leaseId);
      }
    }
  }

  #findSisters(): void {
    this.#sisters = [...this.#view.members.values()].filter(
      ({ id, kind }) => kind === Member_Kind.EMESHER && id !== this.#member,
    );
  }

  #tell(what: (listener: DirectoryListener) => void): void {
    for (const listener of [...this.#listeners]) what(listener);
  }
}

const AWAIT_STEP_MS = 20;
