import { MeshError } from '@eventmesh/errors';
import { Backoff, pause } from '@eventmesh/time';
import { CronTurns } from './cron-turns.ts';
import { EventPublisher } from './event-publisher.ts';
import { movedError } from '../deliver/hold.ts';
import { fullLog } from './timer-book.ts';
import type { TimerBook } from './timer-book.ts';
import { TimerLives } from './timer-lives.ts';
import { TimerLog } from './timer-log.ts';
import { TimerOwner, type TimerDeps } from './timer-owner.ts';
import type { TimerStock } from './timer-room.ts';

/** Longest pause between two tries to own the timers, in ms; jittered. */
const PAUSE_MS_MAX = 2000;

/**
 * The timers of one tenant at this emesher. Of the site's emeshers one owns them, by the registry's
 * lease, and fires; the others stand by.
 */
export class TimerKeeper {
  readonly log: TimerLog;
  readonly lives: TimerLives;
  readonly #deps: TimerDeps;
  readonly #stop = new AbortController();
  #book: TimerBook | undefined;
  /** Records of the log, and the last one, as a stand-by last saw it. */
  #length = 0;
  #last = 0;
  #owner: TimerOwner | undefined;
  #cron: CronTurns | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: TimerDeps, tenant: string) {
    this.#deps = deps;
    const { store, site, logs } = deps;
    this.log = new TimerLog(store, site, tenant);
    const book = () => this.#book;
    this.lives = new TimerLives({ store, log: this.log, events: logs.name(tenant), book });
  }

  start(): void {
    this.#running = this.#keep();
  }

  /** The owner knows the number of timers, a stand-by estimates it. */
  get stock(): TimerStock {
    const { pendingMax } = this.#deps;
    return this.#book === undefined
      ? { upTo: this.#last, free: fullLog(pendingMax) - this.#length }
      : { upTo: this.#book.upTo, free: pendingMax - this.#book.pending };
  }

  /**
   * Takes timers back that still wait, and answers how many did.
   * @throws MeshError OWNED_ELSEWHERE; FENCED while they change hands.
   */
  async cancel(positions: readonly number[]): Promise<number> {
    if (this.#owner !== undefined) return this.#owner.cancel(positions);
    if (!this.#stop.signal.aborted) await this.#deps.directory.acquire(this.#owned);
    throw movedError(`the scheduled events of ${this.log.tenant}`);
  }

  /** See `CronTurns.missed`. */
  get missed(): number {
    return this.#cron?.missed ?? 0;
  }

  schedulesChanged(): void {
    this.#cron?.changed();
    this.#owner?.wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  get #owned(): string {
    return `timers/${this.log.tenant}`;
  }

  async #keep(): Promise<void> {
    const { directory, logger, now } = this.#deps;
    const { signal } = this.#stop;
    const { tenant } = this.log;
    const backoff = new Backoff({ baseMs: 100, maxMs: PAUSE_MS_MAX });
    while (!signal.aborted) {
      const started = now();
      try {
        await directory.acquire(this.#owned);
        await this.#own(signal);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        const facts = { tenant, code: error.code, reason: error.reason };
        // That another emesher of this site has them is how it should be.
        if (error.reason === 'OWNED_ELSEWHERE') await this.#standBy();
        else if (!signal.aborted) logger.warn(facts, `the timers start anew: ${error.message}`);
      }
      if (now() - started > 10_000) backoff.reset();
      await pause(backoff.nextMs(), signal);
    }
    await directory.release(this.#owned);
  }

  async #own(signal: AbortSignal): Promise<void> {
    const { logger, now } = this.#deps;
    const { tenant } = this.log;
    const started = now();
    const events = await EventPublisher.open(this.#deps, tenant);
    const book = await this.log.load(events.publishedUpTo, undefined, signal);
    if (signal.aborted) return;
    const { pending } = book;
    logger.info({ tenant, pending, ms: now() - started }, 'this emesher owns the timers');
    this.#cron = new CronTurns(this.#deps, this.log);
    this.#owner = new TimerOwner(this.#deps, this.log, book, events, [this.#cron]);
    this.#book = book;
    try {
      await this.#owner.run(signal);
    } finally {
      this.#book = undefined;
      this.#owner = undefined;
      this.#cron = undefined;
    }
  }

  async #standBy(): Promise<void> {
    const { store, logger } = this.#deps;
    try {
      const [part] = (await store.logInfo(this.log.name))?.partitions ?? [];
      this.#length = part === undefined ? 0 : part.last - part.first + 1;
      this.#last = part?.last ?? 0;
    } catch (error) {
      logger.debug({ err: error, log: this.log.name }, 'the length of a log is not known');
    }
  }
}
