import { drainingError } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { AppendReceipt } from '@eventmesh/store-api';
import { TimerKeeper } from './timer-keeper.ts';
import type { NewTimer } from './timer-lives.ts';
import { TimerLog } from './timer-log.ts';
import type { TimerDeps } from './timer-owner.ts';
import { TimerRoom } from './timer-room.ts';

/** The timers of all tenants: a log for each that has any, and whoever fires them. */
export class Timers {
  readonly #deps: TimerDeps;
  readonly #keepers = new Map<string, TimerKeeper>();
  readonly #making = new Map<string, Promise<void>>();
  readonly #rooms = new Map<string, TimerRoom>();
  #forget: (() => void) | undefined;
  #stopped = false;

  constructor(deps: TimerDeps) {
    this.#deps = deps;
  }

  /** Finds the timers that wait since before the start, and follows the schedules. */
  async start(): Promise<void> {
    const { store, policies } = this.#deps;
    for (const tenant of await TimerLog.tenants(store)) await this.ensure(tenant);
    this.#forget = policies.onSchedules(() => this.#schedulesChanged());
    this.#schedulesChanged();
  }

  name(tenant: string): string {
    return new TimerLog(this.#deps.store, this.#deps.site, tenant).name;
  }

  /** Whether the log of timers is there. */
  ready(tenant: string): boolean {
    return this.#keepers.has(tenant);
  }

  /** Makes the log of timers when it is not there, and has its timers fired. */
  ensure(tenant: string): Promise<void> {
    if (this.#keepers.has(tenant)) return Promise.resolve();
    let making = this.#making.get(tenant);
    if (making === undefined) {
      making = this.#make(tenant).finally(() => this.#making.delete(tenant));
      this.#making.set(tenant, making);
    }
    return making;
  }

  /**
   * Takes the place of one timer, which has to be given back to its room.
   * @throws MeshError ResourceExhausted when a tenant has as many as it may.
   */
  takePlace(tenant: string): void {
    const { pendingMax } = this.#deps;
    const stock = this.#keepers.get(tenant)?.stock ?? { upTo: 0, free: pendingMax };
    if (this.room(tenant).take(stock)) return;
    throw new MeshError('ResourceExhausted', `${pendingMax} scheduled events wait already`, {
      reason: 'TIMERS_FULL',
      limit: `${pendingMax} scheduled events`,
      retryAfterMs: 10_000,
    });
  }

  room(tenant: string): TimerRoom {
    let room = this.#rooms.get(tenant);
    if (room === undefined) {
      room = new TimerRoom();
      this.#rooms.set(tenant, room);
    }
    return room;
  }

  /** At most 1,000, each with its key. See `TimerLives`. */
  append(tenant: string, timers: readonly NewTimer[]): Promise<AppendReceipt> {
    return this.#keeper(tenant).lives.append(timers);
  }

  /** See `TimerKeeper.cancel`. */
  async cancel(tenant: string, positions: readonly number[]): Promise<number> {
    await this.ensure(tenant);
    return this.#keeper(tenant).cancel(positions);
  }

  /** Occurrences that the schedule which is behind the most has still to make up for. */
  get missed(): number {
    return Math.max(0, ...[...this.#keepers.values()].map(({ missed }) => missed));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forget?.();
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper.stop()));
  }

  #keeper(tenant: string): TimerKeeper {
    const keeper = this.#keepers.get(tenant);
    if (keeper !== undefined) return keeper;
    throw drainingError();
  }

  async #make(tenant: string): Promise<void> {
    const keeper = new TimerKeeper(this.#deps, tenant);
    await keeper.log.ensure(this.#deps.duplicateWindow);
    if (this.#stopped) return;
    this.#keepers.set(tenant, keeper);
    keeper.start();
  }

  #schedulesChanged(): void {
    const { policies, logger } = this.#deps;
    for (const keeper of this.#keepers.values()) keeper.schedulesChanged();
    for (const tenant of policies.scheduleTenants()) {
      if (this.ready(tenant)) continue;
      this.ensure(tenant).catch((error: unknown) => {
        logger.warn({ err: error, tenant }, 'schedules wait for the next change or start');
      });
    }
  }
}
