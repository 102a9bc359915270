import type { DeliverySink, LostRange } from '@eventmesh/adapter-api';
import { ownedSubscription, subscriptionKey, subscriptionOwned } from '@eventmesh/clients';
import type { Directory } from '../control/directory.ts';
import type { Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Followers } from '../follow/followers.ts';
import { isAhead, type LostRanges } from '../link/lost-ranges.ts';
import type { Logs } from '../logs.ts';
import type { CallerSession } from '../session.ts';
import type { Cursors } from './cursors.ts';
import { changedError, deletedError, exclusiveError, movedError, type Hold } from './hold.ts';
import { Lingering } from './lingering.ts';
import { claimCursors, loadCursors } from './own-cursors.ts';
import { Runner } from './runner.ts';
import type { RunnerDeps } from './runner-deps.ts';
import { sameSpec } from './same-spec.ts';
import { Turns } from './turns.ts';

export interface RunnersDeps {
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Directory;
  readonly followers: Followers;
  readonly cursors: Cursors;
  /** What was lost of the site's own logs. */
  readonly lost: Pick<LostRanges, 'of'>;
  readonly runner: Omit<RunnerDeps, 'onFenced'>;
  readonly ownerSession: (subscription: Subscription) => Promise<CallerSession>;
  /** A subscription does not run here any more. */
  readonly onGone: (runner: Runner) => void;
}

/** The durable subscriptions that this emesher owns: those with consumers here. */
export class Runners {
  readonly #deps: RunnersDeps;
  readonly #runners = new Map<string, Runner>();
  /** Starting, stopping and changing a subscription wait for each other. */
  readonly #turns = new Turns();
  readonly #lingering: Lingering;

  constructor(deps: RunnersDeps) {
    this.#deps = deps;
    this.#lingering = new Lingering((subscription) => this.#forgetUnused(subscription));
  }

  get all(): Iterable<Runner> {
    return this.#runners.values();
  }

  /** Stored records that a running subscription has not looked at. */
  lag({ subscription, engine }: Runner): number {
    const { followers, logs } = this.#deps;
    const { tenant } = subscription;
    let lag = 0;
    for (let partition = 0; partition < (logs.partitions(tenant) ?? 0); partition++) {
      const { position } = followers.of(tenant, partition);
      lag += Math.max(0, position - engine.partition(partition).next);
    }
    return lag;
  }

  find(tenant: string, name: string): Runner | undefined {
    return this.#runners.get(subscriptionKey({ tenant, name }));
  }

  /**
   * Attaches a consumer; a subscription that nobody owns is taken over.
   * @throws Unavailable (OWNED_ELSEWHERE), FailedPrecondition (EXCLUSIVE), NotFound.
   */
  attach(
    subscription: Subscription,
    session: CallerSession,
    consumer: string,
    sink: DeliverySink,
  ): Promise<Hold> {
    const key = subscriptionKey(subscription);
    return this.#turns.take(key, async () => {
      // As it is now: it may have waited behind a change of it.
      const current = this.#deps.directory.subscriptions.get(key);
      if (current === undefined) throw deletedError(subscription.name);
      const authority = await this.#authority(current, session);
      const running = this.#runners.get(key);
      running?.authorise(authority);
      const runner = running ?? (await this.#start(current, authority));
      if (current.mode === 'exclusive' && runner.consumers > 0) {
        throw exclusiveError(current.name);
      }
      return this.#hold(key, runner, consumer, sink);
    });
  }

  /** Ends a subscription with a reason; it is given up when its progress is durable. */
  end(tenant: string, name: string, reason: MeshError): Promise<void> {
    const key = subscriptionKey({ tenant, name });
    return this.#turns.take(key, async () => {
      const runner = this.#runners.get(key);
      if (runner === undefined) return;
      runner.close(reason);
      await this.#giveUp(key, runner);
    });
  }

  /** Ends a subscription that is no more: nothing of it is written after this. */
  discard(tenant: string, name: string): Promise<void> {
    const key = subscriptionKey({ tenant, name });
    return this.#turns.take(key, async () => {
      const runner = this.#runners.get(key);
      if (runner === undefined) return;
      runner.close(deletedError(name));
      await this.#drop(key, runner);
    });
  }

  /** Goes on by a subscription as it was changed; answers when nothing runs by the old one. */
  apply(changed: Subscription): Promise<void> {
    const key = subscriptionKey(changed);
    return this.#turns.take(key, async () => {
      const runner = this.#runners.get(key);
      if (runner === undefined || runner.subscription.revision >= changed.revision) return;
      if (sameSpec(runner.subscription, changed)) {
        runner.pause(changed.paused);
        return;
      }
      runner.close(changedError(changed.name));
      await this.#handBack(key, runner);
      if (changed.ephemeral) this.#lingering.add(changed, runner.progress());
    });
  }

  /**
   * Does something to a subscription while this emesher owns it and it does not run; whoever
   * consumed it here is told why.
   * @throws Unavailable (OWNED_ELSEWHERE): it runs at another emesher.
   */
  whileStopped(
    subscription: Subscription,
    reason: MeshError,
    work: (epoch: number) => Promise<void>,
  ): Promise<void> {
    return this.#turns.take(subscriptionKey(subscription), async () => {
      await this.#owning(subscription, reason, work);
      if (subscription.ephemeral) this.#lingering.add(subscription, undefined);
    });
  }

  /**
   * Does something under the ownership of a name of which there is no subscription, as far as is known
   * here; what there is already is the answer otherwise.
   * @throws Unavailable (OWNED_ELSEWHERE): another emesher is at the same, or at work on one of before.
   */
  unlessThere<T>(
    { tenant, name }: Pick<Subscription, 'tenant' | 'name'>,
    there: (found: Subscription) => T,
    work: (epoch: number) => Promise<T>,
  ): Promise<T> {
    const key = subscriptionKey({ tenant, name });
    return this.#turns.take(key, () => {
      const found = this.#deps.directory.subscriptions.get(key);
      if (found !== undefined) return Promise.resolve(there(found));
      return this.#owning({ tenant, name }, deletedError(name), work);
    });
  }

  async #owning<T>(
    { tenant, name }: Pick<Subscription, 'tenant' | 'name'>,
    reason: MeshError,
    work: (epoch: number) => Promise<T>,
  ): Promise<T> {
    const key = subscriptionKey({ tenant, name });
    const owned = subscriptionOwned({ tenant, name });
    // Under the lease that owns it already this is the epoch that it has.
    const epoch = await this.#deps.directory.acquire(owned);
    const runner = this.#runners.get(key);
    runner?.close(reason);
    if (runner !== undefined) this.#forget(key, runner);
    try {
      return await work(epoch);
    } finally {
      await this.#deps.directory.release(owned);
    }
  }

  /** A log of this site was found to have lost events. */
  lost(tenant: string, range: LostRange): void {
    for (const runner of this.#runners.values()) {
      if (runner.subscription.tenant === tenant) runner.lost(range);
    }
  }

  /** Another emesher may own it by now. */
  async moved(owned: string, epoch: number): Promise<void> {
    const runner = this.#runners.get(ownedSubscription(owned));
    if (runner?.epoch === epoch) await this.#fenced(runner);
  }

  async stop(reason: MeshError): Promise<void> {
    this.#lingering.close();
    const all = [...this.#runners.values()].map(({ subscription }) => subscription);
    await Promise.all(all.map(({ tenant, name }) => this.end(tenant, name, reason)));
  }

  /** Consumers of one name are different ones all the same. */
  #hold(key: string, runner: Runner, consumer: string, sink: DeliverySink): Hold {
    const name = freeName(consumer, runner);
    runner.attach(name, sink);
    let detached: Promise<void> | undefined;
    return {
      credit: (events, bytes) => runner.credit(name, events, bytes),
      drain: () => runner.drain(name),
      settle: (ids, outcome, cumulative) => runner.settle(name, ids, outcome, cumulative),
      detach: () => {
        if (detached === undefined) {
          runner.detach(name);
          detached = this.#turns.take(key, async () => {
            if (this.#runners.get(key) !== runner || runner.consumers > 0) return;
            await this.#giveUp(key, runner);
          });
        }
        return detached;
      },
    };
  }

  async #start(subscription: Subscription, authority: CallerSession): Promise<Runner> {
    const { directory } = this.#deps;
    const owned = subscriptionOwned(subscription);
    const epoch = await directory.acquire(owned);
    try {
      return await this.#run(subscription, epoch, authority);
    } catch (error) {
      await directory.release(owned);
      throw error;
    }
  }

  async #run(subscription: Subscription, epoch: number, authority: CallerSession): Promise<Runner> {
    const { store, logs, followers, cursors } = this.#deps;
    const { tenant, name, ephemeral } = subscription;
    const { partitions } = await logs.ensure(tenant);
    const log = logs.name(tenant);
    const found =
      this.#lingering.take(subscription) ??
      (await loadCursors(store, log, subscription, partitions.length));
    // What an ephemeral one has done is of no use to anybody after it.
    if (!ephemeral) await claimCursors(store, log, subscription, epoch, found);
    const runner = new Runner(
      subscription,
      epoch,
      authority,
      { ...this.#deps.runner, onFenced: (fenced) => void this.#fenced(fenced) },
      found,
    );
    for (const range of await this.#deps.lost.of(tenant)) {
      if (isAhead(range, found[range.partition]?.floor ?? 0)) runner.lost(range);
    }
    if (!ephemeral) cursors.add(runner);
    runner.start((tap) =>
      found.map(({ floor }, partition) => followers.of(tenant, partition).attach(tap, floor)),
    );
    this.#runners.set(subscriptionKey(subscription), runner);
    this.#deps.runner.logger.debug({ tenant, subscription: name, epoch }, 'subscription owned');
    return runner;
  }

  async #authority(subscription: Subscription, session: CallerSession): Promise<CallerSession> {
    const { kind, name } = session.principal;
    if (subscription.owner === `${kind}:${name}`) return session;
    return this.#deps.ownerSession(subscription);
  }

  async #giveUp(key: string, runner: Runner): Promise<void> {
    await this.#handBack(key, runner);
    if (runner.subscription.ephemeral) await this.#deps.directory.forget(runner.subscription);
  }

  async #handBack(key: string, runner: Runner): Promise<void> {
    runner.close();
    // Durable before anybody else may own it: what was accepted here is not delivered again.
    if (!runner.subscription.ephemeral) await this.#deps.cursors.flush();
    await this.#drop(key, runner);
  }

  async #drop(key: string, runner: Runner): Promise<void> {
    this.#forget(key, runner);
    await this.#deps.directory.release(subscriptionOwned(runner.subscription));
  }

  /** Nobody has come back to an ephemeral subscription whose consumers were told to reconnect. */
  #forgetUnused(subscription: Subscription): Promise<void> {
    const key = subscriptionKey(subscription);
    return this.#turns.take(key, async () => {
      const there = this.#deps.directory.subscriptions.get(key);
      if (there === undefined || this.#runners.has(key)) return;
      await this.#deps.directory.forget(there);
    });
  }

  #forget(key: string, runner: Runner): void {
    this.#deps.cursors.remove(runner);
    this.#runners.delete(key);
    this.#deps.onGone(runner);
  }

  /** It writes nothing more; its consumers may go on where it runs now. */
  #fenced(runner: Runner): Promise<void> {
    const { subscription } = runner;
    const key = subscriptionKey(subscription);
    this.#deps.cursors.remove(runner);
    return this.#turns.take(key, async () => {
      if (this.#runners.get(key) !== runner) return;
      runner.close(movedError(subscription.name));
      await this.#drop(key, runner);
    });
  }
}

function freeName(wanted: string, runner: Runner): string {
  let name = wanted;
  for (let n = 2; runner.has(name); n++) name = `${wanted}#${n}`;
  return name;
}
