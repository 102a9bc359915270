import type {
  Delivery,
  DeliverySink,
  Gap,
  LostRange,
  SettleOutcome,
  Settled,
} from '@eventmesh/adapter-api';
import {
  DeliveryEngine,
  decodeState,
  encodeState,
  type Assignment,
  type Counters,
  type Entry,
  type Subscription,
} from '@eventmesh/delivery';
import type { RecordView } from '@eventmesh/event';
import {
  compileFilters,
  necessaryConditions,
  type Condition,
  type Predicate,
} from '@eventmesh/filter';
import type { Cursor, CursorCommit } from '@eventmesh/store-api';
import type { Tap, TapHandle } from '../follow/tap.ts';
import { concerns, lostReason } from '../link/lost-ranges.ts';
import type { CallerSession } from '../session.ts';
import { AgainReader } from './again-reader.ts';
import type { CursorSource } from './cursors.ts';
import { Drains } from './drains.ts';
import { Endings } from './endings.ts';
import type { RunnerDeps } from './runner-deps.ts';
import { viewOf } from './shared-view.ts';

/**
 * A subscription at work on the emesher that owns it: reads its partitions, lets the engine decide,
 * hands deliveries to consumers and writes dead letters. Lives while it has consumers.
 */
export class Runner implements Tap, CursorSource {
  readonly subscription: Subscription;
  readonly epoch: number;
  readonly conditions: readonly Condition[];
  /** What the books said when this run began. */
  readonly countersAtStart: Counters;
  readonly #engine: DeliveryEngine;
  readonly #readAheadEvents: number;
  /** Where it began in each partition. */
  readonly #began: readonly Cursor[];
  readonly #deps: RunnerDeps;
  readonly #predicate: Predicate;
  readonly #sinks = new Map<string, DeliverySink>();
  readonly #drains = new Drains();
  readonly #handles: TapHandle[] = [];
  /** By partition. */
  readonly #again: readonly AgainReader[];
  /** Gaps that were met before the first consumer was there. */
  readonly #untold: Gap[] = [];
  #authority: CallerSession;
  #timer: NodeJS.Timeout | undefined;
  #pumping = false;
  #closed = false;
  readonly #endings: Endings;
  /** Ends the wait for dead letters that are not written yet. */
  readonly #closing = new AbortController();
  /** By partition: records that it could not evaluate since it was told how far was looked. */
  readonly #failed: number[] = [];
  #filterErrors = 0;

  constructor(
    subscription: Subscription,
    epoch: number,
    authority: CallerSession,
    deps: RunnerDeps,
    cursors: readonly Cursor[],
  ) {
    this.subscription = subscription;
    this.epoch = epoch;
    this.#authority = authority;
    this.#deps = deps;
    this.#predicate = compileFilters(subscription.filters, {
      onError: () => this.#filterErrors++,
    });
    this.conditions = necessaryConditions(subscription.filters);
    this.#endings = new Endings((entries, how) => deps.onEnded(subscription, entries, how));
    this.#engine = new DeliveryEngine({
      spec: subscription,
      epoch,
      now: deps.now,
      random: deps.random,
      mayReceive: (topic) => this.#authority.mayReceive(topic),
      heldMax: deps.heldMax,
      heldBytesMax: deps.heldBytesMax,
      parkedKeysMax: deps.parkedKeysMax,
      cursorBytesMax: deps.cursorBytesMax,
      retryWindow: deps.retryWindow,
      onEnded: (entry, how) => this.#endings.add(entry, how),
    });
    for (const [partition, { floor, settled, state }] of cursors.entries()) {
      this.#engine.openPartition(partition, floor, settled, decodeState(state));
    }
    this.countersAtStart = { ...this.#engine.counters };
    // What is full has room for some of a read by the time that it reads again.
    this.#readAheadEvents = Math.min(READ_AHEAD_EVENTS, Math.ceil(deps.heldMax / 2));
    this.#began = cursors;
    this.#again = cursors.map((_, partition) => this.#againReader(partition));
  }

  /** The state machine; what was passed by since `refresh` is not in its books. */
  get engine(): DeliveryEngine {
    return this.#engine;
  }

  get topicFilters(): readonly string[] {
    return this.subscription.topicFilters;
  }

  get recipient(): string {
    return this.subscription.name;
  }

  get ready(): boolean {
    return !this.#engine.saturated;
  }

  get hungry(): boolean {
    return this.ready && this.#engine.untried < this.#readAheadEvents;
  }

  /** Starts reading. */
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
    this.#engine.attach(consumer);
    for (const gap of this.#untold.splice(0)) sink.gap(gap);
  }

  detach(consumer: string): void {
    this.#sinks.delete(consumer);
    this.#engine.detach(consumer);
    this.#schedulePump();
  }

  get consumers(): number {
    return this.#sinks.size;
  }

  has(consumer: string): boolean {
    return this.#sinks.has(consumer);
  }

  credit(consumer: string, events: number, bytes: number): void {
    this.#engine.credit(consumer, events, bytes);
    this.#schedulePump();
  }

  /** Resolves when a consumer has what is there for it now, and no credit any more. */
  drain(consumer: string): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#schedulePump();
    return this.#drains.add(consumer);
  }

  settle(
    consumer: string,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): Settled {
    const all = cumulative ? this.#engine.upTo(consumer, ids) : ids;
    const done: Entry[] = [];
    const refused = this.#engine.settle(consumer, all, outcome, (entry) => done.push(entry));
    if (done.length > 0) this.#deps.onSettled(this.subscription, done, outcome);
    this.#buryDead();
    this.#resumeReading();
    this.#schedulePump();
    return { refused, count: all.length - refused.length };
  }

  pause(paused: boolean): void {
    this.#engine.pause(paused);
    this.#schedulePump();
  }

  offer(partition: number, position: number, record: RecordView): boolean {
    if (!this.#matches(partition, position, record)) return false;
    this.#engine.offer(partition, position, record);
    this.#schedulePump();
    return true;
  }

  boundary(partition: number): number {
    return this.#engine.partition(partition).countedUpTo;
  }

  advance(partition: number, upTo: number, others: number): void {
    this.#engine.advance(partition, upTo, others);
    // In the books together with the records, so that neither is counted twice after a crash.
    for (let errors = this.#failed[partition] ?? 0; errors > 0; errors--) {
      this.#engine.filterFailed(partition);
    }
    this.#failed[partition] = 0;
  }

  gap(partition: number, from: number, to: number): void {
    this.#engine.advance(partition, to, 0);
    this.#tellGap({ partition, from, to });
  }

  /** Events are lost that had these positions, at which there are other ones, or will be. */
  lost(range: LostRange): void {
    const { partition, from, to } = range;
    const { start, next } = this.#engine.partition(partition);
    if (!concerns(range, start ?? next)) return;
    this.#tellGap({ partition, from, to, reason: lostReason(range) });
  }

  /** Records that are of no use to it are told of late: now. */
  refresh(): void {
    for (const handle of this.#handles) handle.refresh();
  }

  /** What has to be written of the progress; marks it clean. */
  takeCursors(all: boolean): CursorCommit[] {
    const moved = this.#engine.takeCursors(all);
    // They may have become small enough to read on.
    this.#resumeReading();
    const log = this.#deps.logName(this.subscription.tenant);
    return moved.map(({ partition, floor, settled, state }) => ({
      id: { log, partition, subscription: this.subscription.name },
      cursor: { floor, settled, epoch: this.epoch, state: encodeState(state) },
    }));
  }

  /** Where it stands in each partition, for another run of one that keeps no cursors. */
  progress(): Cursor[] {
    const moved = new Map(this.takeCursors(true).map(({ id, cursor }) => [id.partition, cursor]));
    return this.#began.map((cursor, partition) => moved.get(partition) ?? cursor);
  }

  cursorsFailed(commits: readonly CursorCommit[]): void {
    for (const { id } of commits) this.#engine.cursorFailed(id.partition);
  }

  fenced(): void {
    this.#deps.onFenced(this);
  }

  /** Ends every attachment; nothing is called any more after it. */
  close(reason?: Parameters<DeliverySink['ended']>[0]): void {
    this.#closed = true;
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#drains.end(() => true);
    // Its last books and cursors are about all that it has passed.
    this.refresh();
    for (const handle of this.#handles) handle.close();
    for (const reader of this.#again) reader.close();
    this.#endings.flush();
    if (reason !== undefined) for (const sink of this.#sinks.values()) sink.ended(reason);
    this.#sinks.clear();
  }

  #tellGap(gap: Gap): void {
    if (this.#sinks.size === 0) this.#untold.push(gap);
    for (const sink of this.#sinks.values()) sink.gap(gap);
  }

  #matches(partition: number, position: number, record: RecordView): boolean {
    if (this.subscription.filters.length === 0) return true;
    const errors = this.#filterErrors;
    let matches = false;
    try {
      matches = this.#predicate(viewOf(record));
    } catch (error) {
      this.#filterErrors++;
      this.#deps.logger.debug({ err: error }, 'an event cannot be read');
    }
    // A filter that cannot be evaluated is false, and is counted (Subscriptions API 1.0): once, though
    // what was looked at in an earlier life is looked at again.
    if (this.#filterErrors !== errors && position > this.#engine.partition(partition).lookedUpTo) {
      this.#failed[partition] = (this.#failed[partition] ?? 0) + 1;
    }
    return matches;
  }

  #againReader(partition: number): AgainReader {
    const { store, readAheadBytes, logger, logName } = this.#deps;
    const { tenant, topicFilters } = this.subscription;
    return new AgainReader({
      store,
      log: logName(tenant),
      partition,
      topicFilters,
      readAheadBytes,
      engine: this.#engine,
      matches: (record) => this.#matchesAgain(record),
      onRead: () => this.#schedulePump(),
      onGap: (from, to) => {
        for (const sink of this.#sinks.values()) sink.gap({ partition, from, to });
      },
      logger,
    });
  }

  /** What was counted when the record was looked at first is not counted again. */
  #matchesAgain(record: RecordView): boolean {
    try {
      return this.#predicate(viewOf(record));
    } catch (error) {
      this.#deps.logger.debug({ err: error }, 'an event cannot be read');
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
    this.#engine.tick();
    let handedOver = 0;
    for (const assignment of this.#engine.pump(TURN_EVENTS)) {
      handedOver += assignment.deliveries.length;
      this.#handOver(assignment);
    }
    if (handedOver === TURN_EVENTS) this.#schedulePump();
    this.#endDrains(handedOver < TURN_EVENTS);
    this.#buryDead();
    this.#endings.flush();
    this.#resumeReading();
    this.#setTimer();
  }

  /** @param dry There was no more to hand out. */
  #endDrains(dry: boolean): void {
    this.#drains.end((consumer) => {
      if (!dry && this.#engine.mayTake(consumer)) return false;
      this.#engine.withdraw(consumer);
      return true;
    });
  }

  #handOver({ consumer, deliveries }: Assignment): void {
    const sink = this.#sinks.get(consumer);
    if (sink === undefined) return;
    this.#deps.onDelivered(this.subscription, consumer, deliveries);
    sink.deliver(deliveries.map(toDelivery));
  }

  #resumeReading(): void {
    if (this.#engine.wantsAgain) for (const reader of this.#again) reader.wake();
    if (!this.hungry) return;
    for (const handle of this.#handles) handle.resume();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const due = this.#engine.nextDue;
    // Held because acl cannot tell: ask again, nothing else will wake us.
    const again = this.#engine.blocked ? this.#deps.now() + 500 : undefined;
    const at = due === undefined ? again : Math.min(due, again ?? due);
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#schedulePump(), Math.max(1, at - this.#deps.now()));
  }

  /** The source of a dead letter is settled only when the letter is durable. */
  #buryDead(): void {
    const dead = this.#engine.takeDead();
    if (dead.length === 0) return;
    if (!this.subscription.deadLetter) {
      for (const entry of dead) this.#engine.retire(entry, 'dropped');
      this.#deps.onEnded(this.subscription, dead, 'dropped');
      return;
    }
    this.#deps.deadLetters.write(this.subscription, dead, this.#closing.signal).then(
      () => {
        for (const entry of dead) this.#engine.retire(entry, 'dead-lettered');
        this.#deps.onEnded(this.subscription, dead, 'dead-lettered');
        this.#resumeReading();
        this.#schedulePump();
      },
      (error: unknown) => {
        // Nobody waits any more; whoever owns the subscription next looks at them again.
        if (this.#closed) return;
        this.#deps.logger.warn({ err: error }, 'dead letters could not be written; held');
        for (const entry of dead) this.#engine.revive(entry, 1000);
        this.#schedulePump();
      },
    );
  }
}

/**
 * Events that one subscription hands out before others have their turn: one that catches up must
 * not hold up those that are live.
 */
const TURN_EVENTS = 128;
/** Events that are read ahead of those that are handed out. */
const READ_AHEAD_EVENTS = 256;

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
