import type { Directory } from '../control/directory.ts';

interface Held {
  readonly epoch: Promise<number>;
  users: number;
  /** One step after the other. */
  turn: Promise<unknown>;
}

/** Runs one step of a change alone, under the epoch of this emesher. */
export type Step = <T>(work: (epoch: number) => Promise<T>) => Promise<T>;

/**
 * One emesher at a time changes what is settled of a tenant's dead letters: it owns the name
 * `dead/<tenant>`, and the store refuses what an older owner still writes. Several changes on this
 * emesher share the ownership and take turns step by step, so that a slow one holds up no other.
 */
export class DeadOwnership {
  readonly #directory: Pick<Directory, 'acquire' | 'release'>;
  readonly #held = new Map<string, Held>();
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(directory: Pick<Directory, 'acquire' | 'release'>) {
    this.#directory = directory;
  }

  /** @throws Unavailable (OWNED_ELSEWHERE) while another emesher is at it. */
  async hold<T>(tenant: string, work: (step: Step) => Promise<T>): Promise<T> {
    const held = await this.#enter(tenant);
    try {
      const epoch = await held.epoch;
      return await work((step) => {
        const mine = held.turn.then(() => step(epoch));
        held.turn = mine.catch(() => undefined);
        return mine;
      });
    } finally {
      await this.#leave(tenant, held);
    }
  }

  async #enter(tenant: string): Promise<Held> {
    await this.#leaving.get(tenant);
    let held = this.#held.get(tenant);
    if (held === undefined) {
      const epoch = this.#directory.acquire(nameOf(tenant));
      held = { epoch, users: 0, turn: Promise.resolve() };
      this.#held.set(tenant, held);
    }
    held.users++;
    return held;
  }

  async #leave(tenant: string, held: Held): Promise<void> {
    if (--held.users > 0) return;
    this.#held.delete(tenant);
    const leaving = this.#directory.release(nameOf(tenant));
    this.#leaving.set(tenant, leaving);
    await leaving;
    if (this.#leaving.get(tenant) === leaving) this.#leaving.delete(tenant);
  }
}

const nameOf = (tenant: string): string => `dead/${tenant}`;
