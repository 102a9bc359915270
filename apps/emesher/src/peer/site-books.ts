import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { Runners } from '../deliver/runners.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import { directStatus } from '../deliver/direct-status.ts';
import { subscriptionStatus } from '../deliver/status.ts';
import type { Logs } from '../logs.ts';
import type { Peer, Peers } from './peers.ts';
import { statusFromWire } from './status-wire.ts';

export interface SiteBooksDeps {
  readonly member: string;
  readonly directory: Directory;
  readonly runners: Runners;
  readonly lanes: Pick<DirectLanes, 'books'>;
  readonly peers: Peers;
  readonly logs: Logs;
  readonly store: EventStore;
  readonly logger: Logger;
}

/** Names of one question to an emesher. */
const NAMES_MAX = 1000;
/** An emesher that does not answer in this time is left out, in ms. */
const ASK_MS_MAX = 1500;

type Books = Map<string, SubscriptionStatus>;

/**
 * The books of subscriptions, wherever in the site they run: each from the emesher that owns it,
 * from its cursors when none does. A broadcast has the sum of its parts, a direct subscription that
 * of the emeshers where it has, or had, consumers.
 */
export class SiteBooks {
  readonly #deps: SiteBooksDeps;

  constructor(deps: SiteBooksDeps) {
    this.#deps = deps;
  }

  /** Of subscriptions of one tenant, in their order. */
  async of(subscriptions: readonly Subscription[]): Promise<SubscriptionStatus[]> {
    const { directory } = this.#deps;
    const wanted = new Map(subscriptions.map((each) => [each.name, each]));
    for (const each of subscriptions) {
      for (const part of directory.partsOf(each)) wanted.set(part.name, part);
    }
    const told = await this.#told([...wanted.values()]);
    return Promise.all(
      subscriptions.map(async (each) => {
        if (each.deliveryClass === 'direct') {
          return sum(told.flatMap((books) => books.get(each.name) ?? []));
        }
        if (each.mode !== 'broadcast') return this.#one(each, told);
        const parts = directory.partsOf(each).map((part) => this.#one(part, told));
        return sum(await Promise.all(parts));
      }),
    );
  }

  /** Of those of these that this very emesher has in its books: those that run, and direct ones. */
  async here(tenant: string, names: readonly string[]): Promise<Books> {
    const { runners, lanes, member } = this.#deps;
    const books: Books = new Map();
    for (const name of names) {
      const direct = lanes.books({ tenant, name });
      if (direct !== undefined) books.set(name, directStatus(direct, member));
      const runner = runners.find(tenant, name);
      if (runner === undefined) continue;
      const status = await subscriptionStatus(this.#deps, runner.subscription);
      books.set(name, { ...status, ownerMember: member });
    }
    return books;
  }

  async #one(
    subscription: Subscription,
    told: readonly ReadonlyMap<string, SubscriptionStatus>[],
  ): Promise<SubscriptionStatus> {
    const found = told.flatMap((books) => books.get(subscription.name) ?? []);
    // While it moves two emeshers may tell of it.
    const [newest] = found.sort((a, b) => b.epoch - a.epoch);
    return newest ?? subscriptionStatus(this.#deps, subscription);
  }

  /** What each emesher of the site that answers has in its books; this one is the first. */
  async #told(subscriptions: readonly Subscription[]): Promise<Books[]> {
    const { peers, logger } = this.#deps;
    const tenant = subscriptions[0]?.tenant ?? '';
    const names = subscriptions.map(({ name }) => name);
    const here = await this.here(tenant, names);
    // Consumers of one that is direct may be at several emeshers.
    const asked = subscriptions
      .filter(({ name, deliveryClass }) => deliveryClass === 'direct' || !here.has(name))
      .map(({ name }) => name);
    const told = [here];
    const answers = peers.all.map((peer) => this.#ask(peer, tenant, asked));
    for (const result of await Promise.allSettled(answers)) {
      if (result.status === 'fulfilled') told.push(result.value);
      else {
        const { code, message } = MeshError.from(result.reason);
        logger.debug({ code, reason: message }, 'an emesher did not tell its books');
      }
    }
    return told;
  }

  async #ask({ id, client }: Peer, tenant: string, names: readonly string[]): Promise<Books> {
    const books: Books = new Map();
    for (let from = 0; from < names.length; from += NAMES_MAX) {
      const request = { tenant, names: names.slice(from, from + NAMES_MAX) };
      const { statuses, member } = await client.status(request, { timeoutMs: ASK_MS_MAX });
      // One that has begun again answers for its former self, too.
      if (member !== '' && member !== id) return new Map();
      for (const { name, status } of statuses) {
        if (status !== undefined) books.set(name, statusFromWire(status));
      }
    }
    return books;
  }
}

function sum(parts: readonly SubscriptionStatus[]): SubscriptionStatus {
  const add = (what: (status: SubscriptionStatus) => number) =>
    parts.reduce((total, part) => total + what(part), 0);
  const owners = new Set(parts.map(({ ownerMember }) => ownerMember).filter((id) => id !== ''));
  return {
    considered: add(({ considered }) => considered),
    delivered: add(({ delivered }) => delivered),
    filtered: add(({ filtered }) => filtered),
    expired: add(({ expired }) => expired),
    deadLettered: add(({ deadLettered }) => deadLettered),
    dropped: add(({ dropped }) => dropped),
    held: add(({ held }) => held),
    lag: add(({ lag }) => lag),
    consumers: add(({ consumers }) => consumers),
    redelivered: add(({ redelivered }) => redelivered),
    filterErrors: add(({ filterErrors }) => filterErrors),
    ownerMember: owners.size === 1 ? ([...owners][0] ?? '') : '',
    epoch: parts.reduce((most, { epoch }) => Math.max(most, epoch), 0),
    stuckKeys: parts.flatMap(({ stuckKeys }) => stuckKeys).slice(0, STUCK_KEYS_MAX),
    parked: add(({ parked }) => parked),
    parkedKeys: add(({ parkedKeys }) => parkedKeys),
    stopped: parts.find(({ stopped }) => stopped !== '')?.stopped ?? '',
    delayed: add(({ delayed }) => delayed),
    nextDueMs: earliest(parts.map(({ nextDueMs }) => nextDueMs)),
    paced: add(({ paced }) => paced),
    retryWindow: earliest(parts.map(({ retryWindow }) => retryWindow)),
  };
}

/** The least of some numbers of which 0 means none. */
const earliest = (all: readonly number[]): number =>
  all.reduce((least, one) => (one !== 0 && (least === 0 || one < least) ? one : least), 0);

/** As many as one subscription tells. */
const STUCK_KEYS_MAX = 20;
