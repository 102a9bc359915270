import type { DeliverySink, LostRange, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import {
  DeliveryEngine,
  decodeState,
  encodeState,
  type Counters,
  type Subscription,
} from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { Cursor, CursorCommit } from '@eventmesh/store-api';
import type { Tap, TapHandle } from '../follow/tap.ts';
import { concerns, lostReason } from '../link/lost-ranges.ts';
import type { CallerSession } from '../session.ts';
import { Burying } from './burying.ts';
import type { CursorSource } from './cursors.ts';
import { Endings } from './endings.ts';
import { EngineDriver } from './engine-driver.ts';
import { Reading } from './reading.ts';
import type { RunnerDeps } from './runner-deps.ts';

/**
 * A subscription at work on the emesher that owns it: reads its partitions, lets the engine decide,
 * hands deliveries to consumers and writes dead letters. Lives while it has consumers.
 */
export class Runner implements CursorSource {
  readonly subscription: Subscription;
  readonly epoch: number;
  /** The state machine; what was passed by since `refresh` is not in its books. */
  readonly engine: DeliveryEngine;
  /** What the books said when this run began. */
  readonly countersAtStart: Counters;
  readonly #deps: RunnerDeps;
  /** Where it began in each partition. */
  readonly #began: readonly Cursor[];
  readonly #log: string;
  readonly #driver: EngineDriver;
  readonly #reading: Reading;
  readonly #burying: Burying;
  readonly #endings: Endings;
  #authority: CallerSession;

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
    this.#began = cursors;
    this.#log = deps.logName(subscription.tenant);
    this.#endings = new Endings((entries, how) => deps.onEnded(subscription, entries, how));
    this.engine = this.#makeEngine();
    this.countersAtStart = { ...this.engine.counters };
    this.#driver = this.#makeDriver();
    const wake = () => this.#driver.wake();
    const parts = { ...deps, subscription, engine: this.engine };
    this.#burying = new Burying({ ...parts, wake });
    this.#reading = new Reading({
      ...parts,
      log: this.#log,
      partitions: cursors.length,
      onOffered: wake,
      onGap: (gap) => this.#driver.gap(gap),
    });
  }

  /** Starts reading. */
  start(handles: (tap: Tap) => readonly TapHandle[]): void {
    this.#reading.start(handles);
  }

  /** Deliveries are authorised by this session from now on. */
  authorise(session: CallerSession): void {
    this.#authority = session;
    this.#driver.wake();
  }

  get consumers(): number {
    return this.#driver.consumers;
  }

  has(consumer: string): boolean {
    return this.#driver.has(consumer);
  }

  attach(consumer: string, sink: DeliverySink): void {
    this.#driver.attach(consumer, sink);
  }

  detach(consumer: string): void {
    this.#driver.detach(consumer);
  }

  credit(consumer: string, events: number, bytes: number): void {
    this.#driver.credit(consumer, events, bytes);
  }

  /** Resolves when a consumer has what is there for it now, and no credit any more. */
  drain(consumer: string): Promise<void> {
    return this.#driver.drain(consumer);
  }

  settle(
    consumer: string,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): Settled {
    const settled = this.#driver.settle(consumer, ids, outcome, cumulative);
    this.#reading.resume();
    return settled;
  }

  pause(paused: boolean): void {
    this.engine.pause(paused);
    this.#driver.wake();
  }

  /** Events are lost that had these positions, at which there are other ones, or will be. */
  lost(range: LostRange): void {
    const { partition, from, to } = range;
    const { start, next } = this.engine.partition(partition);
    if (!concerns(range, start ?? next)) return;
    this.#driver.gap({ partition, from, to, reason: lostReason(range) });
  }

  /** Records that are of no use to it are told of late: now. */
  refresh(): void {
    this.#reading.refresh();
  }

  /** What has to be written of the progress; marks it clean. */
  takeCursors(all: boolean): CursorCommit[] {
    const moved = this.engine.takeCursors(all);
    // They may have become small enough to read on.
    this.#reading.resume();
    return moved.map(({ partition, floor, settled, state }) => ({
      id: { log: this.#log, partition, subscription: this.subscription.name },
      cursor: { floor, settled, epoch: this.epoch, state: encodeState(state) },
    }));
  }

  /** Where it stands in each partition, for another run of one that keeps no cursors. */
  progress(): Cursor[] {
    const moved = new Map(this.takeCursors(true).map(({ id, cursor }) => [id.partition, cursor]));
    return this.#began.map((cursor, partition) => moved.get(partition) ?? cursor);
  }

  cursorsFailed(commits: readonly CursorCommit[]): void {
    for (const { id } of commits) this.engine.cursorFailed(id.partition);
  }

  fenced(): void {
    this.#deps.onFenced(this);
  }

  /** Ends every attachment; nothing is called any more after it. */
  close(reason?: MeshError): void {
    this.#burying.close();
    // Its last books and cursors are about all that it has passed.
    this.#reading.close();
    this.#endings.flush();
    if (reason === undefined) this.#driver.close();
    else this.#driver.end(reason);
  }

  #makeEngine(): DeliveryEngine {
    const engine = new DeliveryEngine({
      ...this.#deps,
      spec: this.subscription,
      epoch: this.epoch,
      mayReceive: (topic) => this.#authority.mayReceive(topic),
      onEnded: (entry, how) => this.#endings.add(entry, how),
    });
    for (const [partition, { floor, settled, state }] of this.#began.entries()) {
      engine.openPartition(partition, floor, settled, decodeState(state));
    }
    return engine;
  }

  #makeDriver(): EngineDriver {
    const { subscription } = this;
    const { now, onDelivered, onSettled } = this.#deps;
    return new EngineDriver({
      engine: this.engine,
      now,
      onDelivered: (consumer, deliveries) => onDelivered(subscription, consumer, deliveries),
      onSettled: (entries, outcome) => onSettled(subscription, entries, outcome),
      bury: (dead) => this.#burying.bury(dead),
      afterTurn: () => {
        this.#endings.flush();
        this.#reading.resume();
      },
    });
  }
}
