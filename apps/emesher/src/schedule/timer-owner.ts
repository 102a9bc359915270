import type { RecordView } from '@eventmesh/event';
import type { Authorizer, GovernanceView } from '@eventmesh/clients';
import type { PublishItem } from '@eventmesh/adapter-api';
import type { Schedule } from '@eventmesh/proto-gen/governance';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { DeadLetters } from '../dead/dead-letters.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import { partitionOf, type Logs } from '../logs.ts';
import type { EventPublisher } from './event-publisher.ts';
import { whenDue } from './late.ts';
import { Publishers } from './principals.ts';
import { rest } from './rest.ts';
import type { Due, TimerBook } from './timer-book.ts';
import type { TimerLog } from './timer-log.ts';

export interface TimerDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Directory;
  readonly authorizer: Authorizer;
  readonly policies: GovernanceView;
  readonly deadLetters: Pick<DeadLetters, 'bury'>;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly logger: Logger;
  readonly now: () => number;
  /** Publishes an event of a schedule as its owner, at once. */
  readonly publishAs: (schedule: Schedule, item: PublishItem) => Promise<void>;
  /** An event that is later than this, in ms, is late. */
  readonly lateTolerance: number;
  /** Most timers that wait in one tenant. */
  readonly pendingMax: number;
  readonly duplicateWindow: number;
}

/** Timers of one decision. */
const BATCH_MAX = 500;
/** Bytes of events of one decision. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
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
  readonly #events: EventPublisher;
  readonly #publishers: Publishers;
  readonly #others: readonly TurnTaker[];
  /** Shrinks when events are large. */
  #batchMax = BATCH_MAX;
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
      this.wake();
      this.#tellPending(0);
      await following;
    }
  }

  /** Something may be due earlier than was known. */
  readonly wake = (): void => {
    this.#woken = true;
    this.#changed?.abort();
  };

  async #turns(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = false;
      await this.#publishOpen();
      let next = Infinity;
      for (const other of this.#others) next = Math.min(next, await other.turn(signal));
      const waits = this.#deps.now() < this.#notBefore;
      const due = waits ? [] : this.#book.takeDue(this.#deps.now(), this.#batchMax);
      if (due.length > 0) await this.#decide(due, signal);
      else await this.#move();
      await this.#trim();
      this.#tellPending(this.#book.pending);
      const dueMs = Math.max(this.#book.nextMs ?? Infinity, this.#notBefore);
      await this.#rest(Math.min(next, dueMs), signal);
    }
  }

  /** Until something is due or changes; live traffic gets its turn in any case. */
  async #rest(nextMs: number, signal: AbortSignal): Promise<void> {
    const waitMs = Math.min(WAIT_MS_MAX, nextMs - this.#deps.now());
    if (waitMs <= 0 || this.#woken) {
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    this.#changed = new AbortController();
    await rest(waitMs, AbortSignal.any([signal, this.#changed.signal]));
    this.#changed = undefined;
  }

  async #decide(due: readonly Due[], signal: AbortSignal): Promise<void> {
    const { now, lateTolerance, deadLetters } = this.#deps;
    const timers = await this.#log.timersAt(
      due.map(({ position }) => position),
      BATCH_BYTES_MAX,
    );
    if (timers === undefined) {
      this.#book.giveBack(due);
      this.#batchMax = Math.max(1, this.#batchMax >> 1);
      return;
    }
    this.#batchMax = Math.min(BATCH_MAX, 2 * this.#batchMax);
    const nowMs = now();
    const fire = new Map<number, number[]>();
    const drop: number[] = [];
    const dead: { position: number; record: RecordView; cause: string }[] = [];
    const counts: Record<string, number> = {};
    for (const { dueMs, position } of due) {
      const record = timers.get(position);
      if (record === undefined) continue;
      const allowed = await this.#mayPublish(record);
      if (allowed === undefined) {
        this.#book.giveBack(due);
        return;
      }
      const outcome = allowed
        ? whenDue(dueMs, nowMs, lateTolerance, record.handling.latePolicy)
        : 'forbidden';
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      if (outcome === 'fire' || outcome === 'fire-late') {
        const partition = await this.#partition(record);
        const positions = fire.get(partition) ?? [];
        positions.push(position);
        fire.set(partition, positions);
        continue;
      }
      drop.push(position);
      if (outcome === 'dead-letter') dead.push({ position, record, cause: 'late' });
      if (outcome === 'forbidden') dead.push({ position, record, cause: 'forbidden' });
    }
    const about = { subscription: '', partition: 0, attempts: 0, deadMs: nowMs };
    const policyRevision = this.#deps.policies.revision;
    const letters = dead.map((each) => ({ ...about, ...each, policyRevision }));
    // Durable before the timer is done with; a crash in between makes the same letter again.
    await deadLetters.bury(this.#log.tenant, letters, signal);
    await this.#store({
      fire: [...fire].map(([partition, positions]) => ({ partition, positions })),
      drop,
    });
    this.#count(counts);
    await this.#publishOpen(timers);
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

  async #store(parts: {
    readonly fire: readonly { readonly partition: number; readonly positions: number[] }[];
    readonly drop: readonly number[];
  }): Promise<void> {
    const decision = { sequence: this.#book.sequence + 1, ...parts };
    await this.#log.decide(decision, this.#deps.now());
    this.#book.decide(decision);
  }

  async #publishOpen(timers?: ReadonlyMap<number, RecordView>): Promise<void> {
    for (const firing of this.#book.open) {
      const known = firing.positions.every((position) => timers?.has(position) === true);
      const records = known ? timers : await this.#log.timersAt(firing.positions);
      await this.#events.publish(firing, records ?? new Map());
      this.#book.published(firing);
    }
  }

  async #partition({ tenant, topic, key }: RecordView): Promise<number> {
    const { logs } = this.#deps;
    const count = logs.partitions(tenant) ?? (await logs.ensure(tenant)).partitions.length;
    return partitionOf(topic, key, count);
  }

  /** Timers that wait long must not keep everything that came after them. */
  async #move(): Promise<void> {
    const positions = this.#book.toMove(BATCH_MAX);
    if (positions.length === 0) return;
    const timers = await this.#log.timersAt(positions, BATCH_BYTES_MAX);
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
      this.#deps.ledger.metrics.timers.inc({ tenant, outcome }, timers);
    }
  }

  #tellPending(pending: number): void {
    this.#deps.ledger.metrics.timersPending.set({ tenant: this.#log.tenant }, pending);
  }
}
