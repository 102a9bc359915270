import type { Directory } from '../control/directory.ts';
import type { EngineState, Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { Cursor, EventStore } from '@eventmesh/store-api';
import type { Followers } from '../follow/followers.ts';
import type { Logs } from '../logs.ts';
import type { CallerSession } from '../session.ts';
import type { Cursors } from './cursors.ts';
import { Runner } from './runner.ts';
import type { RunnerDeps } from './runner-deps.ts';
import { startPositions } from './start-position.ts';

export interface RunnersDeps {
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Directory;
  readonly followers: Followers;
  readonly cursors: Cursors;
  readonly runner: Omit<RunnerDeps, 'onFenced'>;
  readonly ownerSession: (subscription: Subscription) => Promise<CallerSession>;
}

/** The subscriptions that this emesher owns: those with consumers here. */
export class Runners {
  readonly #deps: RunnersDeps;
  readonly #runners = new Map<string, Runner>();
  /** Starting and stopping a subscription wait for each other. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(deps: RunnersDeps) {
    this.#deps = deps;
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
    return this.#runners.get(`${tenant}/${name}`);
  }

  /** The running subscription; taken over when nobody owns it. */
  own(subscription: Subscription, session: CallerSession): Promise<Runner> {
    return this.#turn(subscription, async (key) => {
      const running = this.#runners.get(key);
      const authority = await this.#authority(subscription, session);
      if (running !== undefined) {
        running.authorise(authority);
        return running;
      }
      const runner = await this.#start(subscription, authority);
      this.#runners.set(key, runner);
      return runner;
    });
  }

  /** A consumer leaves; with the last one the subscription is given up. */
  leave(runner: Runner, consumer: string): Promise<void> {
    runner.detach(consumer);
    return this.#turn(runner.subscription, async (key) => {
      if (this.#runners.get(key) !== runner || runner.consumers > 0) return;
      await this.#giveUp(key, runner);
    });
  }

  /** Ends a subscription with a reason, as after its deletion. */
  end(tenant: string, name: string, reason: MeshError): Promise<void> {
    return this.#turn({ tenant, name }, async (key) => {
      const runner = this.#runners.get(key);
      if (runner === undefined) return;
      runner.close(reason);
      await this.#giveUp(key, runner);
    });
  }

  async stop(reason: MeshError): Promise<void> {
    const all = [...this.#runners.values()].map(({ subscription }) => subscription);
    await Promise.all(all.map(({ tenant, name }) => this.end(tenant, name, reason)));
  }

  async #start(subscription: Subscription, authority: CallerSession): Promise<Runner> {
    const { logs, directory, followers, cursors } = this.#deps;
    const { tenant, name } = subscription;
    const epoch = await directory.acquire(ownershipName(subscription));
    const { partitions } = await logs.ensure(tenant);
    const found = await this.#cursors(subscription, partitions.length);
    const runner = new Runner(
      subscription,
      epoch,
      authority,
      { ...this.#deps.runner, onFenced: (fenced) => void this.#fenced(fenced) },
      engineState(found),
    );
    for (const [partition, cursor] of found.entries()) {
      runner.engine.openPartition(partition, cursor.floor, cursor.settled);
    }
    cursors.add(runner);
    runner.start((tap) =>
      found.map(({ floor }, partition) => followers.of(tenant, partition).attach(tap, floor)),
    );
    this.#deps.runner.logger.debug({ tenant, subscription: name, epoch }, 'subscription owned');
    return runner;
  }

  /** Where a subscription goes on in each partition: its cursors, else where it is to start. */
  async #cursors(subscription: Subscription, partitions: number): Promise<Cursor[]> {
    const { store, logs } = this.#deps;
    const log = logs.name(subscription.tenant);
    const found = await Promise.all(
      Array.from({ length: partitions }, (_, partition) =>
        store.loadCursor({ log, partition, subscription: subscription.name }),
      ),
    );
    if (found.every((cursor) => cursor !== undefined)) return found;
    const floors = await startPositions(store, log, subscription.start);
    return floors.map((floor, partition) => {
      return found[partition] ?? { floor, settled: [], epoch: 0, state: NO_STATE };
    });
  }

  async #authority(subscription: Subscription, session: CallerSession): Promise<CallerSession> {
    const { kind, name } = session.principal;
    if (subscription.owner === `${kind}:${name}`) return session;
    return this.#deps.ownerSession(subscription);
  }

  async #giveUp(key: string, runner: Runner): Promise<void> {
    const { cursors, directory } = this.#deps;
    runner.close();
    // Durable before anybody else may own it: what was accepted here is not delivered again.
    if (!runner.subscription.ephemeral) await cursors.flush();
    cursors.remove(runner);
    this.#runners.delete(key);
    await directory.release(ownershipName(runner.subscription));
    if (runner.subscription.ephemeral) await directory.forget(runner.subscription);
  }

  async #fenced(runner: Runner): Promise<void> {
    const { tenant, name } = runner.subscription;
    const reason = new MeshError('Aborted', `another emesher owns "${name}" now; reconnect`, {
      reason: 'FENCED',
    });
    this.#deps.cursors.remove(runner);
    await this.end(tenant, name, reason);
  }

  #turn<T>(
    subscription: Pick<Subscription, 'tenant' | 'name'>,
    work: (key: string) => Promise<T>,
  ): Promise<T> {
    const key = `${subscription.tenant}/${subscription.name}`;
    const before = this.#turns.get(key) ?? Promise.resolve();
    const mine = before.then(
      () => work(key),
      () => work(key),
    );
    this.#turns.set(key, mine);
    const forget = () => {
      if (this.#turns.get(key) === mine) this.#turns.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  }
}

export const ownershipName = ({ tenant, name }: Pick<Subscription, 'tenant' | 'name'>): string =>
  `subscription/${tenant}/${name}`;

const NO_STATE = new Uint8Array(0);

/** Every cursor carries the same state; the newest one counts. */
function engineState(cursors: readonly Cursor[]): EngineState | undefined {
  const newest = cursors
    .filter(({ state }) => state.length > 0)
    .sort((a, b) => b.epoch - a.epoch)[0];
  if (newest === undefined) return undefined;
  return JSON.parse(Buffer.from(newest.state).toString('utf8')) as EngineState;
}
