import type { RecordView } from '@eventmesh/event';
import type { Authorizer, GovernanceView } from '@eventmesh/clients';
import type { PublishItem } from '@eventmesh/adapter-api';
import type { Schedule } from '@eventmesh/proto-gen/governance';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { nextTurn, pause } from '@eventmesh/time';
import type { Directory } from '../control/directory.ts';
import type { DeadLetters } from '../dead/dead-letters.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import { partitionOf, type Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import type { EventPublisher } from './event-publisher.ts';
import { Burials } from './burials.ts';
import { Cancellations } from './cancellations.ts';
import { DueTimers, type DueTimer } from './due-timers.ts';
import { Firings } from './firings.ts';
import { judge, type GivenUp } from './judge.ts';
import { Publishers } from './principals.ts';
import type { TimerBook } from './timer-book.ts';
import type { Decision } from './timer-entry.ts';
import type { TimerLog } from './timer-log.ts';

export interface TimerDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Directory;
  readonly authorizer: Authorizer;
  readonly policies: GovernanceView;
  readonly deadLetters: Pick<DeadLetters, 'bury' | 'full'>;
  readonly ledger: Ledger;
  readonly metrics: EmesherMetrics;
  readonly journal: Journal;
  readonly logger: Logger;
  readonly now: () => number;
  /** Publishes an event of a schedule as its owner, at once. */
  readonly publishAs: (schedule: Schedule, item: PublishItem) => Promise<void>;
  /** An event that is later than this, in ms, is late. */
  readonly lateTolerance: number;
  /** Most timers that wait in one tenant. */
  readonly pendingMax: number;
  /** Most occurrences of a schedule that are made up for after a stop. */
  readonly missedMax: number;
  readonly duplicateWindow: number;
}

/** How often it is looked whether a group of letters is durable, in ms. */
const BURIAL_STEP_MS = 5;

/** Timers that are moved at once. */
const MOVE_MAX = 500;
/** Bytes of them. */
const MOVE_BYTES_MAX = 8 * 1024 * 1024;
/** Timers that are done with before their part of the log is dropped. */
const TRIM_MIN = 1000;
const WAIT_MS_MAX = 60_000;
/** Pause between two questions to an acl that is away. */
const HOLD_MS = 1000;

/** A part that has its own work to do in the owner's turns. */
export interface TurnTaker {
  /** Does what is due; answers when to call again, ms since the epoch. */
  turn(signal: AbortSignal): Promise<number>;
}

/**
 * Fires the timers of one tenant while this emesher owns them. It decides in small batches, stores
 * each decision in the log of timers before it acts on it, and carries out what an earlier owner had
 * decided and not done: whoever dies when, a timer is published once.
 */
export class TimerOwner {
  readonly #deps: TimerDeps;
  readonly #log: TimerLog;
  readonly #book: TimerBook;
  readonly #due: DueTimers;
  readonly #burials: Burials;
  readonly #cancellations: Cancellations;
  readonly #firings: Firings;
  readonly #events: EventPublisher;
  readonly #publishers: Publishers;
  readonly #others: readonly TurnTaker[];
  #trimmed = 0;
  /** While acl cannot tell who may publish, nothing is fired. */
  #notBefore = 0;
  #woken = false;
  /** Ends the rest between two turns. */
  #changed: AbortController | undefined;

  constructor(
    deps: TimerDeps,
    log: TimerLog,
    book: TimerBook,
    events: EventPublisher,
    others: readonly TurnTaker[],
  ) {
    this.#deps = deps;
    this.#log = log;
    this.#book = book;
    this.#due = new DueTimers(log, book);
    this.#burials = new Burials(this.wake);
    this.#cancellations = new Cancellations(log.tenant, book);
    this.#firings = new Firings(log, book, events);
    this.#events = events;
    this.#others = others;
    this.#publishers = new Publishers(deps.authorizer, log.tenant);
  }

  /** Runs until the signal, or until something fails: then everything is read anew. */
  async run(outer: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([outer, stop.signal]);
    const following = this.#log.follow(this.#book, this.wake, signal);
    try {
      await Promise.race([following, this.#turns(signal)]);
    } finally {
      stop.abort();
      this.#cancellations.close();
      this.wake();
      this.#tellPending(0);
      await Promise.allSettled([this.#firings.end()]);
      await following;
    }
  }

  /** Takes timers back. See `Cancellations.add`. */
  cancel(positions: readonly number[]): Promise<number> {
    const cancelled = this.#cancellations.add(positions);
    this.wake();
    return cancelled;
  }

  /** Something may be due earlier than was known. */
  readonly wake = (): void => {
    this.#woken = true;
    this.#changed?.abort();
  };

  async #turns(signal: AbortSignal): Promise<void> {
    await this.#firings.begin();
    while (!signal.aborted) {
      this.#woken = false;
      await this.#endBurials();
      await this.#cancellations.turn((positions) => this.#cancel(positions));
      let next = Infinity;
      for (const other of this.#others) next = Math.min(next, await other.turn(signal));
      const waits = this.#deps.now() < this.#notBefore;
      const due = waits ? [] : await this.#due.batch(this.#deps.now());
      if (due.length > 0) await this.#decide(due, signal);
      else if (this.#burials.idle) await this.#move();
      this.#due.done();
      await this.#trim();
      this.#tellPending(this.#book.pending);
      const dueMs = Math.max(this.#due.nextMs ?? Infinity, this.#notBefore);
      await this.#pause(Math.min(next, dueMs), signal);
    }
  }

  /**
   * Until something is due or changes; live traffic gets its turn in any case. That a decision could
   * not be carried out shows here at the latest.
   */
  async #pause(nextMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && nextMs > this.#deps.now()) await this.#firings.end();
    const waitMs = Math.min(WAIT_MS_MAX, nextMs - this.#deps.now());
    if (waitMs <= 0 || this.#woken) {
      await nextTurn();
      return;
    }
    this.#changed = new AbortController();
    await pause(waitMs, AbortSignal.any([signal, this.#changed.signal]));
    this.#changed = undefined;
  }

  async #decide(due: readonly DueTimer[], signal: AbortSignal): Promise<void> {
    const { now, lateTolerance } = this.#deps;
    const nowMs = now();
    const verdicts = await judge(due, {
      nowMs,
      toleranceMs: lateTolerance,
      mayPublish: (record) => this.#mayPublish(record),
      partition: (record) => this.#partition(record),
    });
    if (verdicts === undefined) return;
    const { fire, drop, dead, counts } = verdicts;
    if (dead.length > 0) await this.#giveUp(dead, nowMs, signal);
    if (fire.size === 0 && drop.length === 0) return;
    await this.#store({
      fire: [...fire].map(([partition, positions]) => ({ partition, positions })),
      drop,
    });
    this.#count(counts);
    await this.#firings.begin(new Map(due.map(({ position, record }) => [position, record])));
  }

  /**
   * Durable before they are done with; a crash in between makes the same letters again. The group
   * before is waited for, unless there is no room for it: that may take for ever.
   */
  async #giveUp(dead: readonly GivenUp[], nowMs: number, signal: AbortSignal): Promise<void> {
    const { deadLetters, policies } = this.#deps;
    while (this.#burials.writing && !deadLetters.full(this.#log.tenant) && !signal.aborted) {
      await pause(BURIAL_STEP_MS, signal);
    }
    await this.#endBurials();
    const none = { subscription: '', subscriptionCreatedMs: 0 };
    const about = { ...none, partition: 0, attempts: 0, deadMs: nowMs };
    const policyRevision = policies.revision;
    this.#due.setAside(dead);
    this.#burials.add(
      dead.map(({ dueMs, position, outcome }) => ({ dueMs, position, outcome })),
      () => {
        const letters = dead.map(({ position, record, cause }) => {
          return { ...about, position, record, cause, policyRevision };
        });
        return deadLetters.bury(this.#log.tenant, letters, signal);
      },
    );
  }

  async #endBurials(): Promise<void> {
    const { durable, again } = this.#burials.take();
    if (durable.length > 0) {
      await this.#store({ fire: [], drop: durable.map(({ position }) => position) });
      for (const { outcome } of durable) this.#count({ [outcome]: 1 });
    }
    this.#due.giveBack([...durable, ...again]);
  }

  async #cancel(positions: readonly number[]): Promise<void> {
    await this.#store({ fire: [], drop: positions });
    this.#count({ cancelled: positions.length });
  }

  /** Undefined while acl cannot tell: the event is held, not given up. */
  async #mayPublish({ principal, topic }: RecordView): Promise<boolean | undefined> {
    try {
      return await this.#publishers.mayPublish(principal, topic);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.code !== 'Unavailable') throw error;
      this.#notBefore = this.#deps.now() + HOLD_MS;
      const { tenant } = this.#log;
      this.#deps.logger.warn({ tenant, code: error.code }, 'acl is away; due events are held');
      return undefined;
    }
  }

  async #store(parts: Omit<Decision, 'sequence'>): Promise<void> {
    const decision = { sequence: this.#book.sequence + 1, ...parts };
    await this.#log.decide(decision, this.#deps.now());
    this.#book.decide(decision);
  }

  async #partition({ tenant, topic, key }: RecordView): Promise<number> {
    const { logs } = this.#deps;
    const count = logs.partitions(tenant) ?? (await logs.ensure(tenant)).partitions.length;
    return partitionOf(topic, key, count);
  }

  /** Timers that wait long must not keep everything that came after them. */
  async #move(): Promise<void> {
    const positions = this.#book.toMove(MOVE_MAX);
    if (positions.length === 0) return;
    const timers = await this.#log.timersAt(positions, MOVE_BYTES_MAX);
    const fitting = timers === undefined ? positions.slice(0, 1) : positions;
    const records = timers ?? (await this.#log.timersAt(fitting));
    const moved = fitting.flatMap((position) => {
      const record = records?.get(position);
      return record === undefined ? [] : [{ bytes: this.#events.again(record) }];
    });
    const decision = { sequence: this.#book.sequence + 1, fire: [], drop: fitting };
    await this.#log.decide(decision, this.#deps.now(), moved);
    this.#book.decide(decision);
    this.#count({ moved: fitting.length });
  }

  async #trim(): Promise<void> {
    const { floor, pending } = this.#book;
    const idle = pending === 0 && this.#book.nextMs === undefined;
    if (floor - this.#trimmed < (idle ? 2 : TRIM_MIN)) return;
    await this.#log.trim(floor);
    this.#trimmed = floor;
  }

  #count(counts: Readonly<Record<string, number>>): void {
    const { tenant } = this.#log;
    for (const [outcome, timers] of Object.entries(counts)) {
      this.#deps.metrics.timers.inc({ tenant, outcome }, timers);
    }
  }

  #tellPending(pending: number): void {
    this.#deps.metrics.timersPending.set({ tenant: this.#log.tenant }, pending);
  }
}
