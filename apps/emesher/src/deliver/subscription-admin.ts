import { randomUUID } from 'node:crypto';
import type {
  Convergence,
  Session,
  SubscriptionWithStatus,
  SubscriptionsPort,
} from '@eventmesh/adapter-api';
import { subscriptionKey, subscriptionOwned } from '@eventmesh/clients';
import type { Directory } from '../control/directory.ts';
import {
  changedSpec,
  checkSubscription,
  type Start,
  type Subscription,
  type SubscriptionChange,
  type SubscriptionInput,
  type SubscriptionSpec,
} from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';
import { pageOf, readPageToken } from '@eventmesh/rpc';
import type { SiteBooks } from '../peer/site-books.ts';
import type { SiteChanges } from '../peer/site-changes.ts';
import { callerOf, checkGrants, type CallerSession } from '../session.ts';
import { broadcastPart, type BroadcastDeps } from './broadcast.ts';
import { checkDirectSpec } from './direct-spec.ts';
import { dropCursors } from './drop-cursors.ts';
import { makeSubscription } from './make-subscription.ts';
import { checkStartTime } from './start-position.ts';
import { specDifferences } from './same-spec.ts';
import { SubscriptionQuota, type SubscriptionQuotaDeps } from './subscription-quota.ts';

export interface SubscriptionAdminDeps extends BroadcastDeps {
  readonly site: string;
  readonly directory: Directory;
  readonly changes: SiteChanges;
  readonly books: SiteBooks;
  readonly now: () => number;
  readonly policies: SubscriptionQuotaDeps['policies'];
}

/** Subscriptions as resources: made in the registry, with their cursors in the store. */
export class SubscriptionAdmin implements SubscriptionsPort {
  readonly #deps: SubscriptionAdminDeps;
  readonly #quota: SubscriptionQuota;

  constructor(deps: SubscriptionAdminDeps) {
    this.#deps = deps;
    this.#quota = new SubscriptionQuota(deps);
  }

  async create(session: Session, input: SubscriptionInput): Promise<Subscription> {
    return (await this.findOrMake(callerOf(session), checkSubscription(input))).subscription;
  }

  async get(session: Session, name: string): Promise<SubscriptionWithStatus> {
    return this.#withStatus([this.find(callerOf(session), name)]).then(([only]) => {
      if (only === undefined) throw new MeshError('Internal', 'no books for a subscription');
      return only;
    });
  }

  async list(session: Session, page: { readonly size: number; readonly token: string }) {
    const caller = callerOf(session);
    const { tenant } = caller.principal;
    const scope = `subscriptions of ${tenant}`;
    const after = readPageToken(scope, page.token, 'token') ?? '';
    const mine = [...this.#deps.directory.subscriptions.values()]
      .filter((each) => each.tenant === tenant && mayManage(caller, each))
      .filter(({ name }) => name > after)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    // One more tells whether there is another page.
    const found = await this.#withStatus(mine.slice(0, page.size + 1));
    const { entries, nextPageToken } = pageOf(found, page.size, {
      scope,
      keyOf: ({ subscription }) => subscription.name,
      bytesOf: (one) => Buffer.byteLength(JSON.stringify(one)),
    });
    return { items: entries, nextToken: nextPageToken };
  }

  async update(session: Session, change: SubscriptionChange): Promise<Subscription> {
    const caller = callerOf(session);
    return this.#change(caller, change, (there) => {
      if (there.broadcastOf !== '') {
        throw invalid('name', `is a part of "${there.broadcastOf}"; update that one`);
      }
      for (const field of FIXED) {
        if (change[field] === undefined || change[field] === there[field]) continue;
        throw invalid(field, `is "${there[field]}" for good; make a subscription of another name`);
      }
      const spec = changedSpec(there, change);
      checkDirectSpec(spec, there);
      checkGrants(caller, spec);
      return { ...there, ...spec };
    });
  }

  /** A part of a broadcast is paused by its own name, or with the whole. */
  async pause(session: Session, name: string, paused: boolean): Promise<Subscription> {
    return this.#change(callerOf(session), { name }, (there) =>
      there.part === undefined
        ? { ...there, paused }
        : { ...there, part: { ...there.part, paused } },
    );
  }

  async seek(session: Session, name: string, start: Start): Promise<Subscription> {
    const { changes, directory, now } = this.#deps;
    const there = this.find(callerOf(session), name);
    checkStartTime(start, now());
    if (there.deliveryClass === 'direct') {
      throw new MeshError(
        'FailedPrecondition',
        `"${name}" is of the direct class: nothing is kept`,
      );
    }
    if (there.mode !== 'broadcast') return changes.seek(there, start);
    for (const part of directory.partsOf(there)) await changes.seek(part, start);
    return changes.put({ ...there, start });
  }

  /** With a broadcast the registry deletes its parts. */
  async delete(session: Session, name: string): Promise<void> {
    const { directory, changes } = this.#deps;
    const there = this.find(callerOf(session), name);
    const all = [there, ...directory.partsOf(there)];
    // Nobody who owns one now or before has a greater epoch, and nobody who makes it anew a smaller one.
    const epochs = await Promise.all(all.map((one) => directory.epochOf(subscriptionOwned(one))));
    await directory.delete(there.tenant, there.name);
    await Promise.all(all.map((one) => changes.deleted(one)));
    await Promise.all(all.map((one, at) => dropCursors(this.#deps, one, epochs[at] ?? 0)));
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
    return this.#deps.directory.subscriptions.get(
      subscriptionKey({ tenant: caller.principal.tenant, name }),
    );
  }

  ephemeralName(): string {
    return `ephemeral-${randomUUID()}`;
  }

  /**
   * The subscription of this name, made when missing.
   * @throws AlreadyExists when there is one with another spec; ResourceExhausted (QUOTA).
   */
  async findOrMake(
    caller: CallerSession,
    spec: SubscriptionSpec,
  ): Promise<{ readonly subscription: Subscription; readonly interestVersion: bigint }> {
    checkGrants(caller, spec);
    const there = this.peek(caller, spec.name);
    const found =
      there === undefined
        ? await this.#quota.within(caller, spec.name, () =>
            makeSubscription(this.#deps, this.#new(caller, spec)),
          )
        : { subscription: there, interestVersion: 0n };
    const differing = specDifferences(found.subscription, spec);
    if (differing.length === 0) return found;
    throw new MeshError(
      'AlreadyExists',
      `subscription "${spec.name}" exists with another ${differing.join(', ')}; update it, or take ` +
        'another name',
      { field: 'name', reason: 'SUBSCRIPTION_DIFFERS' },
    );
  }

  /** What a consumer of a subscription really consumes: of a broadcast, its own part. */
  async consumed(subscription: Subscription, consumer: string | undefined): Promise<Subscription> {
    const { mode, deliveryClass } = subscription;
    if (mode !== 'broadcast' || deliveryClass === 'direct') return subscription;
    return broadcastPart(this.#deps, subscription, consumer, this.#deps.now());
  }

  #new(caller: CallerSession, spec: SubscriptionSpec): Subscription {
    const { tenant, kind, name } = caller.principal;
    return {
      ...spec,
      tenant,
      owner: `${kind}:${name}`,
      site: this.#deps.site,
      createdMs: this.#deps.now(),
      revision: 0,
      broadcastOf: '',
    };
  }

  /**
   * Changes what a subscription has, and nothing that others change at the same time: it is made anew
   * from what they have left. A broadcast is changed by this one put, its parts are as it is.
   *
   * @throws Aborted when a revision was given and is not the present one.
   */
  async #change(
    caller: CallerSession,
    { name, revision = 0 }: Pick<SubscriptionChange, 'name' | 'revision'>,
    as: (there: Subscription) => Subscription,
  ): Promise<Subscription> {
    const { directory, changes } = this.#deps;
    const { tenant } = caller.principal;
    let there = this.find(caller, name);
    for (let attempt = 1; ; attempt++) {
      // What the caller has read, or what others have put, may not have come here yet.
      if (revision > 0 || attempt > 1) {
        await directory.refresh(tenant, name);
        there = this.find(caller, name);
      }
      if (revision > 0 && there.revision !== revision) throw changedSince(there, revision);
      try {
        return await changes.put(as(there));
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.code !== 'Aborted' || attempt === CHANGE_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async #withStatus(subscriptions: readonly Subscription[]): Promise<SubscriptionWithStatus[]> {
    const statuses = await this.#deps.books.of(subscriptions);
    return subscriptions.flatMap((subscription, index) => {
      const status = statuses[index];
      return status === undefined ? [] : [{ subscription, status }];
    });
  }
}

/** Changes by others in between until a caller that named no revision is told to try again. */
const CHANGE_ATTEMPTS_MAX = 16;

const changedSince = ({ name, revision }: Subscription, given: number): MeshError =>
  new MeshError(
    'Aborted',
    `revision: "${name}" was changed since ${given}, it is at ${revision}; read it again and give ` +
      'that one, or none to change it whatever it is',
    { field: 'revision', facts: { revision: String(revision) } },
  );

/** What events were kept by, and consumers came for: another one would lose what is unsettled. */
const FIXED = ['deliveryClass', 'mode', 'ephemeral'] as const;

/** Its owner, and whoever administers subscriptions. */
export function mayManage(caller: CallerSession, subscription: Subscription): boolean {
  const { kind, name } = caller.principal;
  if (subscription.owner === `${kind}:${name}`) return true;
  return (
    caller.grants.can(Action.ADMIN, 'subscriptions') ||
    subscription.topicFilters.every((filter) => caller.grants.canSubscribe(filter))
  );
}
