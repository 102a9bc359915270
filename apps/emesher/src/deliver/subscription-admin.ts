import { randomUUID } from 'node:crypto';
import type {
  Convergence,
  Session,
  SubscriptionStatus,
  SubscriptionWithStatus,
  SubscriptionsPort,
} from '@eventmesh/adapter-api';
import type { Directory } from '../control/directory.ts';
import {
  checkSubscription,
  type Start,
  type Subscription,
  type SubscriptionInput,
  type SubscriptionSpec,
} from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import { callerOf, checkGrants, type CallerSession } from '../session.ts';
import type { Runners } from './runners.ts';
import { sameSpec } from './same-spec.ts';
import { startPositions } from './start-position.ts';
import { subscriptionStatus } from './status.ts';

export interface SubscriptionAdminDeps {
  readonly site: string;
  readonly directory: Directory;
  readonly runners: Runners;
  readonly logs: Logs;
  readonly store: EventStore;
  readonly now: () => number;
}

/** Subscriptions as resources: made in the registry, with their cursors in the store. */
export class SubscriptionAdmin implements SubscriptionsPort {
  readonly #deps: SubscriptionAdminDeps;

  constructor(deps: SubscriptionAdminDeps) {
    this.#deps = deps;
  }

  async create(session: Session, input: SubscriptionInput): Promise<Subscription> {
    const caller = callerOf(session);
    const spec = checkSubscription(input);
    const there = this.peek(caller, spec.name);
    if (there !== undefined) {
      if (sameSpec(there, spec)) return there;
      throw new MeshError('AlreadyExists', `subscription "${spec.name}" exists with another spec`, {
        field: 'name',
        reason: 'SUBSCRIPTION_DIFFERS',
      });
    }
    return (await this.make(caller, spec)).subscription;
  }

  async get(session: Session, name: string): Promise<SubscriptionWithStatus> {
    return this.#withStatus(this.find(callerOf(session), name));
  }

  async list(session: Session, page: { readonly size: number; readonly token: string }) {
    const caller = callerOf(session);
    const mine = [...this.#deps.directory.subscriptions.values()]
      .filter((each) => each.tenant === caller.principal.tenant && mayManage(caller, each))
      .filter(({ name }) => name > page.token)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown = mine.slice(0, page.size);
    return {
      items: await Promise.all(shown.map((each) => this.#withStatus(each))),
      nextToken: mine.length > shown.length ? (shown.at(-1)?.name ?? '') : '',
    };
  }

  async update(session: Session, input: SubscriptionInput): Promise<Subscription> {
    const caller = callerOf(session);
    const there = this.find(caller, input.name);
    const spec = checkSubscription({ ...there, ...input, start: there.start, mode: there.mode });
    checkGrants(caller, spec);
    return this.#replace({ ...there, ...spec });
  }

  async pause(session: Session, name: string, paused: boolean): Promise<Subscription> {
    const updated = await this.#put({ ...this.find(callerOf(session), name), paused });
    this.#deps.runners.find(updated.tenant, name)?.pause(paused);
    return updated;
  }

  async seek(session: Session, name: string, start: Start): Promise<Subscription> {
    const there = this.find(callerOf(session), name);
    const reason = new MeshError('Aborted', `"${name}" was moved to another start; reconnect`, {
      reason: 'SEEK',
    });
    await this.#deps.runners.end(there.tenant, name, reason);
    // Owned while it is written: an emesher that still delivers is fenced by the newer epoch.
    const owned = `subscription/${there.tenant}/${name}`;
    const epoch = await this.#deps.directory.acquire(owned);
    await this.#writeStart({ ...there, start }, epoch);
    await this.#deps.directory.release(owned);
    return this.#put({ ...there, start });
  }

  async delete(session: Session, name: string): Promise<void> {
    const { directory, runners, store, logs } = this.#deps;
    const { tenant } = this.find(callerOf(session), name);
    await directory.delete(tenant, name);
    const reason = new MeshError('NotFound', `subscription "${name}" was deleted`);
    await runners.end(tenant, name, reason);
    const { partitions } = await logs.ensure(tenant);
    for (const { partition } of partitions) {
      await store.deleteCursor({ log: logs.name(tenant), partition, subscription: name });
    }
  }

  converge(_session: Session, timeoutMs: number): Promise<Convergence> {
    return this.#deps.directory.converge(0n, timeoutMs);
  }

  /** @throws NotFound, also for what the caller may not see. */
  find(caller: CallerSession, name: string): Subscription {
    const there = this.peek(caller, name);
    if (there === undefined || !mayManage(caller, there)) {
      throw new MeshError('NotFound', `there is no subscription "${name}"`, { field: 'name' });
    }
    return there;
  }

  peek(caller: CallerSession, name: string): Subscription | undefined {
    return this.#deps.directory.subscriptions.get(`${caller.principal.tenant}/${name}`);
  }

  ephemeralName(): string {
    return `ephemeral-${randomUUID()}`;
  }

  /** Makes a subscription: its cursors first, so that `latest` means now and not later. */
  async make(
    caller: CallerSession,
    spec: SubscriptionSpec,
  ): Promise<{ subscription: Subscription; interestVersion: bigint }> {
    if (spec.mode === 'broadcast') {
      throw new MeshError(
        'Unimplemented',
        'mode: broadcast is not there yet; use one subscription a consumer',
        { field: 'mode' },
      );
    }
    checkGrants(caller, spec);
    const { tenant, kind, name } = caller.principal;
    const subscription: Subscription = {
      ...spec,
      tenant,
      owner: `${kind}:${name}`,
      site: this.#deps.site,
      createdMs: this.#deps.now(),
      revision: 0,
      broadcastOf: '',
    };
    if (spec.deliveryClass === 'durable' && !spec.ephemeral)
      await this.#writeStart(subscription, 0);
    return this.#deps.directory.put(subscription, -1);
  }

  async #writeStart(subscription: Subscription, epoch: number): Promise<void> {
    const { logs, store } = this.#deps;
    const { tenant, name, start } = subscription;
    await logs.ensure(tenant);
    const log = logs.name(tenant);
    const floors = await startPositions(store, log, start);
    const commits = floors.map((floor, partition) => ({
      id: { log, partition, subscription: name },
      cursor: { floor, settled: [], epoch, state: new Uint8Array(0) },
    }));
    const fenced = await store.commitCursors(commits);
    if (fenced.length > 0) {
      throw new MeshError('Aborted', `"${name}" is being consumed elsewhere; try again`, {
        reason: 'FENCED',
      });
    }
  }

  async #replace(subscription: Subscription): Promise<Subscription> {
    const updated = await this.#put(subscription);
    const reason = new MeshError('Aborted', `"${updated.name}" was changed; reconnect`, {
      reason: 'SUBSCRIPTION_CHANGED',
    });
    await this.#deps.runners.end(updated.tenant, updated.name, reason);
    return updated;
  }

  async #put(subscription: Subscription): Promise<Subscription> {
    return (await this.#deps.directory.put(subscription, subscription.revision)).subscription;
  }

  async #withStatus(subscription: Subscription): Promise<SubscriptionWithStatus> {
    const status: SubscriptionStatus = await subscriptionStatus(this.#deps, subscription);
    return { subscription, status };
  }
}

/** Its owner, and whoever administers subscriptions. */
function mayManage(caller: CallerSession, subscription: Subscription): boolean {
  const { kind, name } = caller.principal;
  if (subscription.owner === `${kind}:${name}`) return true;
  return (
    caller.grants.can(Action.ADMIN, 'subscriptions') ||
    subscription.topicFilters.every((filter) => caller.grants.canSubscribe(filter))
  );
}
