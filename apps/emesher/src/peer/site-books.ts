import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { Runners } from '../deliver/runners.ts';
import { subscriptionStatus } from '../deliver/status.ts';
import type { Logs } from '../logs.ts';
import type { Peers } from './peers.ts';
import { statusFromWire } from './status-wire.ts';

export interface SiteBooksDeps {
  readonly member: string;
  readonly directory: Directory;
  readonly runners: Runners;
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
 * from its cursors when none does. A broadcast has the sum of its parts.
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
    const books = await this.#running([...wanted.values()]);
    return Promise.all(
      subscriptions.map(async (each) => {
        if (each.mode !== 'broadcast' || each.deliveryClass === 'direct') {
          return this.#one(each, books);
        }
        const parts = directory.partsOf(each).map((part) => this.#one(part, books));
        return sum(await Promise.all(parts));
      }),
    );
  }

  /** Of those of these that run at this very emesher. */
  async here(tenant: string, names: readonly string[]): Promise<Books> {
    const { runners, member } = this.#deps;
    const books: Books = new Map();
    for (const name of names) {
      const runner = runners.find(tenant, name);
      if (runner === undefined) continue;
      const status = await subscriptionStatus(this.#deps, runner.subscription);
      books.set(name, { ...status, ownerMember: member });
    }
    return books;
  }

  async #one(subscription: Subscription, books: Books): Promise<SubscriptionStatus> {
    return books.get(subscription.name) ?? subscriptionStatus(this.#deps, subscription);
  }

  async #running(subscriptions: readonly Subscription[]): Promise<Books> {
    const tenant = subscriptions[0]?.tenant ?? '';
    const durable = subscriptions.filter(({ deliveryClass }) => deliveryClass === 'durable');
    const names = durable.map(({ name }) => name);
    const books = await this.here(tenant, names);
    const missing = names.filter((name) => !books.has(name));
    const asked = this.#deps.peers.all.map(async ({ id, client }) => {
      for (let from = 0; from < missing.length; from += NAMES_MAX) {
        const request = { tenant, names: missing.slice(from, from + NAMES_MAX) };
        const { statuses } = await client.status(request, { timeoutMs: ASK_MS_MAX });
        for (const { name, status } of statuses) {
          if (status !== undefined) books.set(name, { ...statusFromWire(status), ownerMember: id });
        }
      }
    });
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'fulfilled') continue;
      const { code, message } = MeshError.from(result.reason);
      this.#deps.logger.debug({ code, reason: message }, 'an emesher did not tell its books');
    }
    return books;
  }
}

function sum(parts: readonly SubscriptionStatus[]): SubscriptionStatus {
  const add = (what: (status: SubscriptionStatus) => number) =>
    parts.reduce((total, part) => total + what(part), 0);
  const owners = new Set(parts.map(({ ownerMember }) => ownerMember));
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
