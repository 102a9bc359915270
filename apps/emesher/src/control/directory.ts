import { MeshError } from '@eventmesh/errors';
import type { RegistryView } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { TopicTrie } from '@eventmesh/routing';
import type { Logger } from '@eventmesh/telemetry';
import { storedFromProto, subscriptionToProto } from '@eventmesh/wire';

/**
 * The registry as the data plane sees it: subscriptions in the core's form, who wants a topic here
 * and elsewhere, ownership. While the registry is away the last good state stays.
 */
export class Directory {
  readonly #view: RegistryView;
  readonly #logger: Logger;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #interest = new Map<string, TopicTrie<string>>();
  readonly #deleted = new Set<(tenant: string, name: string) => void>();
  readonly #forget: () => void;
  #version = 1;

  constructor(view: RegistryView, logger: Logger) {
    this.#view = view;
    this.#logger = logger;
    for (const proto of view.subscriptions.values()) this.#set(storedFromProto(proto));
    this.#forget = view.onChange((change) => {
      if (change.type !== 'subscription' && change.type !== 'routing') return;
      this.#version++;
      if (change.type === 'routing') return;
      if (change.current === undefined) this.#delete(change.key);
      else this.#set(storedFromProto(change.current));
    });
  }

  /** By `tenant/name`. */
  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions;
  }

  /** Changes with interest, routes and subscriptions. */
  get version(): number {
    return this.#version;
  }

  onDeleted(listener: (tenant: string, name: string) => void): void {
    this.#deleted.add(listener);
  }

  destinations(tenant: string, topic: string, deliveryClass: 'durable' | 'direct') {
    const wire = deliveryClass === 'direct' ? DeliveryClass.DIRECT : DeliveryClass.DURABLE;
    return this.#view.destinationsFor(tenant, topic, wire);
  }

  /** Whether a subscription of this site wants a topic. */
  wanted(tenant: string, topic: string): boolean {
    return this.#interest.get(tenant)?.matchesAny(topic) ?? false;
  }

  nextHop = (site: string): string | undefined => this.#view.nextHop(site);

  /**
   * Takes ownership of a name and answers its fencing epoch.
   * @throws FailedPrecondition while another live member owns it, with its address; Unavailable.
   */
  async acquire(name: string): Promise<number> {
    try {
      return Number(await this.#view.acquire(name));
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.code !== 'Aborted') throw error;
      const { owner } = await this.#view.owner(name);
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

  /** Gives a name up; when the registry is away the lease does it in time. */
  async release(name: string): Promise<void> {
    try {
      await this.#view.release(name);
    } catch (error) {
      this.#logger.warn({ err: error, name }, 'could not give up ownership; its lease will end it');
    }
  }

  /** @param expectedRevision 0: whatever is there; -1: must not exist. */
  async put(
    subscription: Subscription,
    expectedRevision: number,
  ): Promise<{ subscription: Subscription; interestVersion: bigint }> {
    const answer = await this.#view.putSubscription(
      subscriptionToProto(subscription),
      BigInt(expectedRevision),
    );
    if (answer.subscription === undefined) {
      throw new MeshError('Internal', 'the registry answered without the subscription');
    }
    const stored = storedFromProto(answer.subscription);
    // The watch brings it too; whoever made it must not have to wait for that.
    this.#set(stored);
    return { subscription: stored, interestVersion: answer.interestVersion };
  }

  async delete(tenant: string, name: string): Promise<void> {
    await this.#view.deleteSubscription(tenant, name);
    this.#delete(`${tenant}/${name}`);
  }

  /** An ephemeral subscription goes with its last consumer, and its interest with it. */
  async forget({ tenant, name }: Subscription): Promise<void> {
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

  close(): void {
    this.#forget();
  }

  #set(subscription: Subscription): void {
    const key = `${subscription.tenant}/${subscription.name}`;
    const there = this.#subscriptions.get(key);
    if (there !== undefined && there.revision > subscription.revision) return;
    if (there !== undefined) this.#interested(there, false);
    this.#subscriptions.set(key, subscription);
    this.#interested(subscription, true);
    this.#version++;
  }

  #delete(key: string): void {
    const there = this.#subscriptions.get(key);
    if (there === undefined) return;
    this.#subscriptions.delete(key);
    this.#interested(there, false);
    this.#version++;
    for (const listener of this.#deleted) listener(there.tenant, there.name);
  }

  #interested({ tenant, name, topicFilters }: Subscription, add: boolean): void {
    const trie = this.#interest.get(tenant) ?? new TopicTrie<string>();
    this.#interest.set(tenant, trie);
    for (const filter of topicFilters) {
      if (add) trie.add(filter, name);
      else trie.remove(filter, name);
    }
  }
}
