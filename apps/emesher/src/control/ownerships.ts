import type { RegistryView } from '@eventmesh/clients';
import { MeshError, unavailable } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import { pause } from '@eventmesh/time';

/** Names that are resumed at once. */
const RESUMES_MAX = 16;
/** Pause after a registry that did not answer, in ms. */
const PAUSE_MS = 200;
/**
 * How long after the word that the lease has ended it may be open what becomes of a name, in ms. It
 * stays open while this member cannot join again: the registry is away again, or has another process
 * of the same id.
 */
const OPEN_MS_MAX = 30_000;

export interface OwnershipsDeps {
  readonly view: Pick<RegistryView, 'acquire' | 'release' | 'leaseId'>;
  readonly logger: Logger;
  /** What was owned under this epoch may be another member's by now. */
  readonly onLost: (name: string, epoch: number) => void;
}

interface Held {
  readonly epoch: number;
  readonly leaseId: string;
  readonly fenced: boolean;
}

/**
 * The names that this emesher owns. They hang on its lease; when that has ended, which happens when
 * the registry was away for longer, each is asked for under the new lease with the epoch that it
 * has. Granted, nobody was owner in between, and all that runs by it goes on as it was; refused, it
 * is lost. Until that is known, or too late, the work goes on, as it does while the registry is
 * away: the store refuses what an older owner writes. What no store fences is lost with the lease.
 */
export class Ownerships {
  readonly #deps: OwnershipsDeps;
  readonly #held = new Map<string, Held>();
  /** Names that could not be given up; the registry may still keep them for this emesher. */
  readonly #unreleased = new Set<string>();
  /** Undefined while there is none. */
  #leaseId: string | undefined;
  #end: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: OwnershipsDeps) {
    this.#deps = deps;
  }

  /**
   * @param fenced whether the store refuses what an older owner writes
   * @throws what the registry answers; Unavailable when the lease ended meanwhile
   */
  async acquire(name: string, fenced: boolean): Promise<number> {
    const { view } = this.#deps;
    // A name that was not given up would come back with its old epoch.
    if (this.#unreleased.has(name)) {
      await view.release(name);
      this.#unreleased.delete(name);
    }
    const leaseId = view.leaseId;
    const epoch = Number(await view.acquire(name));
    // Owned by the epoch of a lease that is gone, and nobody would resume it.
    if (view.leaseId !== leaseId) throw unavailable('the lease of this emesher ended; try again');
    this.#held.set(name, { epoch, leaseId, fenced });
    return epoch;
  }

  /** Gives a name up; when the registry is away the lease does it in time. */
  async release(name: string): Promise<void> {
    const { view, logger } = this.#deps;
    this.#held.delete(name);
    try {
      await view.release(name);
    } catch (error) {
      this.#unreleased.add(name);
      logger.warn({ err: error, name }, 'could not give up ownership; its lease will end it');
    }
  }

  /** The lease has ended, and every name with it. */
  lapsed(): void {
    this.#leaseId = undefined;
    this.#unreleased.clear();
    for (const [name, held] of this.#held) if (!held.fenced) this.#lose(name, held);
    this.#end ??= setTimeout(() => this.#giveUp(), OPEN_MS_MAX).unref();
  }

  /** There is a lease, the one from before or a new one. Resolves when what was owned is decided. */
  async confirmed(leaseId: string): Promise<void> {
    if (leaseId === this.#leaseId) return;
    this.#leaseId = leaseId;
    await this.#resumeAll(leaseId);
    if (this.#leaseId !== leaseId) return;
    clearTimeout(this.#end);
    this.#end = undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#end);
  }

  async #resumeAll(leaseId: string): Promise<void> {
    const names = [...this.#held].flatMap(([name, held]) =>
      held.leaseId === leaseId ? [] : [name],
    );
    if (names.length === 0) return;
    const { logger } = this.#deps;
    logger.info({ names: names.length }, 'the lease ended; what it owned is resumed');
    const left = names.values();
    const worker = async () => {
      for (const name of left) await this.#resume(name, leaseId);
    };
    await Promise.all(Array.from({ length: RESUMES_MAX }, worker));
  }

  /** Until there is an answer, the name is given up or taken anew, or the lease has ended again. */
  async #resume(name: string, leaseId: string): Promise<void> {
    for (;;) {
      const held = this.#held.get(name);
      if (held === undefined || held.leaseId === leaseId) return;
      if (this.#closed || this.#leaseId !== leaseId) return;
      const epoch = await this.#askAgain(name, held.epoch);
      const answered = this.#held.get(name) === held && this.#leaseId === leaseId;
      if (answered && epoch === held.epoch) this.#held.set(name, { ...held, leaseId });
      else if (answered && epoch !== undefined) this.#lose(name, held);
      else if (epoch === undefined) await pause(PAUSE_MS);
    }
  }

  /** The epoch; another one, or 0, when it is lost; undefined when there is no answer. */
  async #askAgain(name: string, epoch: number): Promise<number | undefined> {
    try {
      return Number(await this.#deps.view.acquire(name, BigInt(epoch)));
    } catch (thrown) {
      const { code, message } = MeshError.from(thrown);
      this.#deps.logger.debug({ name, epoch, code, reason: message }, 'ownership not resumed');
      return code === 'Aborted' ? 0 : undefined;
    }
  }

  #giveUp(): void {
    this.#end = undefined;
    for (const [name, held] of this.#held) {
      if (held.leaseId !== this.#leaseId) this.#lose(name, held);
    }
  }

  #lose(name: string, { epoch }: Held): void {
    this.#held.delete(name);
    this.#deps.logger.warn({ name, epoch }, 'the lease ended, and what it owned is lost');
    this.#deps.onLost(name, epoch);
  }
}
