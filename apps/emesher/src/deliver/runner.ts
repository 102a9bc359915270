import type { Delivery, DeliverySink, SettleOutcome } from '@eventmesh/adapter-api';
import {
  DeliveryEngine,
  type Assignment,
  type Counters,
  type EngineState,
  type Entry,
  type Subscription,
} from '@eventmesh/delivery';
import { EventView, type RecordView } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import type { CursorCommit } from '@eventmesh/store-api';
import type { Tap, TapHandle } from '../follow/tap.ts';
import type { CallerSession } from '../session.ts';
import type { CursorSource } from './cursors.ts';
import type { RunnerDeps } from './runner-deps.ts';

/**
 * A subscription at work on the emesher that owns it: reads its partitions, lets the engine decide,
 * hands deliveries to consumers and writes dead letters. Lives while it has consumers.
 */
export class Runner implements Tap, CursorSource {
  readonly subscription: Subscription;
  readonly epoch: number;
  readonly engine: DeliveryEngine;
  /** What the books said when this run began. */
  readonly countersAtStart: Counters;
  readonly #deps: RunnerDeps;
  readonly #predicate: Predicate;
  readonly #sinks = new Map<string, DeliverySink>();
  readonly #handles: TapHandle[] = [];
  #authority: CallerSession;
  #timer: NodeJS.Timeout | undefined;
  #pumping = false;
  #closed = false;
  #filteredHere = 0;

  constructor(
    subscription: Subscription,
    epoch: number,
    authority: CallerSession,
    deps: RunnerDeps,
    state: EngineState | undefined,
  ) {
    this.subscription = subscription;
    this.epoch = epoch;
    this.#authority = authority;
    this.#deps = deps;
    this.#predicate = compileFilters(subscription.filters);
    this.engine = new DeliveryEngine(
      {
        spec: subscription,
        epoch,
        now: deps.now,
        random: deps.random,
        mayReceive: (topic) => this.#authority.mayReceive(topic),
        heldMax: deps.heldMax,
        heldBytesMax: deps.heldBytesMax,
      },
      state,
    );
    this.countersAtStart = { ...this.engine.counters };
  }

  get topicFilters(): readonly string[] {
    return this.subscription.topicFilters;
  }

  get ready(): boolean {
    return !this.engine.saturated;
  }

  /** Starts reading; every partition has been opened in the engine. */
  start(handles: (tap: Tap) => readonly TapHandle[]): void {
    this.#handles.push(...handles(this));
  }

  /** Deliveries are authorised by this session from now on. */
  authorise(session: CallerSession): void {
    this.#authority = session;
    this.#schedulePump();
  }

  attach(consumer: string, sink: DeliverySink): void {
    this.#sinks.set(consumer, sink);
    this.engine.attach(consumer);
  }

  detach(consumer: string): void {
    this.#sinks.delete(consumer);
    this.engine.detach(consumer);
    this.#schedulePump();
  }

  get consumers(): number {
    return this.#sinks.size;
  }

  credit(consumer: string, events: number, bytes: number): void {
    this.engine.credit(consumer, events, bytes);
    this.#schedulePump();
  }

  settle(
    consumer: string,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): readonly number[] {
    const all = cumulative ? this.engine.upTo(consumer, ids.reduce(greater, 0)) : ids;
    const done: Entry[] = [];
    const refused = this.engine.settle(consumer, all, outcome, (entry) => done.push(entry));
    if (done.length > 0) this.#deps.onSettled(this.subscription, done, outcome);
    this.#buryDead();
    this.#resumeReading();
    this.#schedulePump();
    return refused;
  }

  pause(paused: boolean): void {
    this.engine.pause(paused);
    this.#schedulePump();
  }

  offer(partition: number, position: number, record: RecordView): void {
    if (this.#matches(record)) this.engine.offer(partition, position, record);
    else this.#filteredHere++;
  }

  boundary(partition: number): number {
    return this.engine.partition(partition).countedUpTo;
  }

  advance(partition: number, upTo: number, others: number): void {
    this.engine.advance(partition, upTo, others + this.#filteredHere);
    this.#filteredHere = 0;
    this.#schedulePump();
  }

  gap(partition: number, from: number, to: number): void {
    this.engine.advance(partition, to, 0);
    for (const sink of this.#sinks.values()) sink.gap({ partition, from, to });
  }

  /** What has to be written of the progress; marks it clean. */
  takeCursors(): CursorCommit[] {
    const moved = this.engine.takeCursors();
    if (moved.length === 0) return [];
    const state = Buffer.from(JSON.stringify(this.engine.state()));
    const log = this.#deps.logName(this.subscription.tenant);
    return moved.map(({ partition, floor, settled }) => ({
      id: { log, partition, subscription: this.subscription.name },
      cursor: { floor, settled, epoch: this.epoch, state },
    }));
  }

  cursorsFailed(commits: readonly CursorCommit[]): void {
    for (const { id } of commits) this.engine.cursorFailed(id.partition);
  }

  fenced(): void {
    this.#deps.onFenced(this);
  }

  /** Ends every attachment; nothing is called any more after it. */
  close(reason?: Parameters<DeliverySink['ended']>[0]): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const handle of this.#handles) handle.close();
    if (reason !== undefined) for (const sink of this.#sinks.values()) sink.ended(reason);
    this.#sinks.clear();
  }

  #matches(record: RecordView): boolean {
    if (this.subscription.filters.length === 0) return true;
    try {
      return this.#predicate(new EventView(record.event));
    } catch (error) {
      // A filter that cannot be evaluated is false, and is counted (Subscriptions API 1.0).
      this.engine.counters.filterErrors++;
      this.#deps.logger.debug({ err: error }, 'a filter could not be evaluated');
      return false;
    }
  }

  /** Once a turn, however many offers, credits and settles came in it. */
  #schedulePump(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      if (!this.#closed) this.#pump();
    });
  }

  #pump(): void {
    this.engine.tick();
    for (const assignment of this.engine.pump()) this.#handOver(assignment);
    this.#buryDead();
    this.#resumeReading();
    this.#setTimer();
  }

  #handOver({ consumer, deliveries }: Assignment): void {
    const sink = this.#sinks.get(consumer);
    if (sink === undefined) return;
    this.#deps.onDelivered(this.subscription, consumer, deliveries);
    sink.deliver(deliveries.map(toDelivery));
  }

  #resumeReading(): void {
    if (this.engine.saturated) return;
    for (const handle of this.#handles) handle.resume();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const due = this.engine.nextDue;
    // Held because acl cannot tell: ask again, nothing else will wake us.
    const again = this.engine.blocked ? this.#deps.now() + 500 : undefined;
    const at = due === undefined ? again : Math.min(due, again ?? due);
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#schedulePump(), Math.max(1, at - this.#deps.now()));
  }

  /** The source of a dead letter is settled only when the letter is durable. */
  #buryDead(): void {
    const dead = this.engine.takeDead();
    if (dead.length === 0) return;
    if (!this.subscription.deadLetter) {
      for (const entry of dead) this.engine.retire(entry, 'dropped');
      return;
    }
    this.#deps.deadLetters.write(this.subscription, dead).then(
      () => {
        for (const entry of dead) this.engine.retire(entry, 'dead-lettered');
        this.#deps.onDeadLettered(this.subscription, dead);
        this.#resumeReading();
        this.#schedulePump();
      },
      (error: unknown) => {
        this.#deps.logger.warn({ err: error }, 'dead letters could not be written; held');
        for (const entry of dead) this.engine.revive(entry, 1000);
        this.#schedulePump();
      },
    );
  }
}

function toDelivery({ id, entry }: Assignment['deliveries'][number]): Delivery {
  const { record, partition, position, attempts } = entry;
  return {
    id,
    attempt: attempts,
    topic: record.topic,
    event: record.event,
    partition,
    position,
    originSite: record.originSite,
    ingressTimeUs: record.ingressTimeUs,
  };
}

/** Not `Math.max(...ids)`: as many arguments as a caller sends ids would overflow the stack. */
const greater = (a: number, b: number): number => Math.max(a, b);
