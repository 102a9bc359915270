import { subscriptionKey } from '@eventmesh/clients';
import type { Start, Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { subscriptionToProto, startToProto } from '@eventmesh/wire';
import { storedFromProto } from '@eventmesh/wire';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { DirectGroups } from '../deliver/direct-groups.ts';
import { startFloors, writeFloors } from '../deliver/own-cursors.ts';
import type { MakeDeps } from '../deliver/make-subscription.ts';
import type { Runners } from '../deliver/runners.ts';
import type { OwnerCalls } from './owner-calls.ts';
import type { PeerClient, Peers } from './peers.ts';

export interface SiteChangesDeps extends MakeDeps {
  readonly directory: Directory;
  readonly runners: Runners;
  readonly groups: DirectGroups;
  readonly peers: Peers;
  readonly owners: OwnerCalls;
  readonly logger: Logger;
}

/** An emesher that does not answer in this time learns of a change from the registry, in ms. */
const TELL_MS_MAX = 3000;

/** Changes of subscriptions that the whole site must work by when the caller is answered. */
export class SiteChanges {
  readonly #deps: SiteChangesDeps;

  constructor(deps: SiteChangesDeps) {
    this.#deps = deps;
    deps.directory.listen({
      changed: (current) => void this.applyHere(current),
      deleted: (tenant, name) => void this.discardHere(tenant, name),
      ownershipLost: (owned, epoch) => {
        deps.groups.moved(owned);
        void deps.runners.moved(owned, epoch);
      },
    });
  }

  /** Stores a change of a subscription; the site works by it when this resolves. */
  async put(subscription: Subscription): Promise<Subscription> {
    const { directory } = this.#deps;
    const { subscription: stored } = await directory.put(subscription, subscription.revision);
    await this.applyHere(stored);
    await this.#tell({ subscription: subscriptionToProto(stored), deleted: false });
    return stored;
  }

  /** Another emesher says that a subscription is now like this. */
  async learn(subscription: Subscription): Promise<void> {
    this.#deps.directory.learn(subscription);
    await this.applyHere(subscription);
  }

  async deleted(subscription: Subscription): Promise<void> {
    await this.discardHere(subscription.tenant, subscription.name);
    await this.#tell({ subscription: subscriptionToProto(subscription), deleted: true });
  }

  /** Moves a subscription to another start, at the emesher that owns it. */
  seek(subscription: Subscription, start: Start): Promise<Subscription> {
    const wanted = { subscription: subscriptionToProto(subscription), start: startToProto(start) };
    return this.#deps.owners.run({
      what: `"${subscription.name}"`,
      here: () => this.seekHere(subscription, start),
      there: async (client, options) => {
        const answer = await client.seek(wanted, options);
        if (answer.subscription === undefined) {
          throw new MeshError('Internal', 'an emesher answered without the subscription');
        }
        const moved = storedFromProto(answer.subscription);
        this.#deps.directory.learn(moved);
        return moved;
      },
    });
  }

  /** @throws Unavailable (OWNED_ELSEWHERE) */
  async seekHere(subscription: Subscription, start: Start): Promise<Subscription> {
    const { runners, directory } = this.#deps;
    const { name } = subscription;
    const reason = new MeshError('Aborted', `"${name}" was moved to another start; reconnect`, {
      reason: 'SEEK',
    });
    let moved = subscription;
    const wanted = { ...subscription, start };
    // Before anything is stopped: a start that is not there is no reason to cut consumers off.
    const floors = await startFloors(this.#deps, wanted);
    await runners.whileStopped(subscription, reason, async (epoch) => {
      // An ephemeral one has no cursors, and begins anew where its start is now.
      const written = wanted.ephemeral || (await writeFloors(this.#deps, wanted, floors, epoch));
      if (!written) {
        throw new MeshError('Aborted', `"${name}" is being consumed elsewhere; try again`, {
          reason: 'FENCED',
        });
      }
      moved = (await directory.put(wanted, subscription.revision)).subscription;
    });
    return moved;
  }

  /**
   * Goes on by a subscription, and the parts of a broadcast, as they are known now: what was put may
   * have been changed again since.
   */
  async applyHere(changed: Subscription): Promise<void> {
    const { directory, runners, groups } = this.#deps;
    const now = directory.subscriptions.get(subscriptionKey(changed));
    if (now === undefined) return;
    if (now.deliveryClass === 'direct') groups.apply(now);
    else await Promise.all([now, ...directory.partsOf(now)].map((each) => runners.apply(each)));
  }

  discardHere(tenant: string, name: string): Promise<void> {
    this.#deps.groups.discard(tenant, name);
    return this.#deps.runners.discard(tenant, name);
  }

  /** Those that do not answer follow when the registry's word reaches them. */
  async #tell(request: Parameters<PeerClient['apply']>[0]): Promise<void> {
    const { peers, logger } = this.#deps;
    const told = peers.all.map(({ client }) => client.apply(request, { timeoutMs: TELL_MS_MAX }));
    for (const result of await Promise.allSettled(told)) {
      if (result.status === 'fulfilled') continue;
      const { code, message } = MeshError.from(result.reason);
      logger.debug({ code, reason: message }, 'an emesher could not be told of a change');
    }
  }
}
