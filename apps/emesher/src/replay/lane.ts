import type { ReplayStatus, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import { DeliveryEngine, type Assignment, type Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import { EventView, encodeAttribute } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import { EngineDriver } from '../deliver/engine-driver.ts';
import type { LaneCounts, LaneDeps, LaneName, LaneSpec } from './lane-spec.ts';
import { Pace } from './pace.ts';
import { readWindows } from './read-windows.ts';
import type { Scanned } from './scan.ts';
import type { Window } from './window.ts';

/** The attribute that tells a replayed event from a live one. */
const MARK = 'meshreplay';

/**
 * A lane through a subscription's past: a delivery engine and a read stream of its own, so that the
 * live deliveries, their credit and their cursor know nothing of it. Lives until it is through, is
 * stopped, or its consumer leaves; then nothing is called any more.
 */
export class Lane implements LaneName {
  readonly id: string;
  readonly subscription: Subscription;
  readonly consumer: string;
  readonly rateMax: number;
  readonly startedMs: number;
  readonly #deps: LaneDeps;
  readonly #spec: LaneSpec;
  readonly #engine: DeliveryEngine;
  readonly #driver: EngineDriver;
  readonly #matches: Predicate;
  readonly #pace: Pace;
  readonly #mark: Buffer;
  readonly #over = new AbortController();
  readonly #left: Map<number, number>;
  /** The consumer's credit, and how much of it the engine has: no more than the pace allows. */
  #credit = 0;
  #granted = 0;
  #told: LaneCounts = { delivered: 0, filtered: 0, expired: 0, dropped: 0 };
  /** The one that is being read. */
  #partition = 0;
  #through = false;
  #room: (() => void) | undefined;

  constructor(spec: LaneSpec, deps: LaneDeps) {
    const { id, subscription, consumer, options, windows, session } = spec;
    this.id = id;
    this.subscription = subscription;
    this.consumer = consumer;
    this.rateMax = options.rateMax;
    this.startedMs = deps.now();
    this.#spec = spec;
    this.#deps = deps;
    this.#matches = compileFilters(subscription.filters, {
      onError: () => this.#engine.filterFailed(this.#partition),
    });
    this.#pace = new Pace(options.rateMax, deps.monotonicNow);
    this.#mark = encodeAttribute(MARK, { kind: 'string', value: id });
    this.#left = new Map(windows.map(({ partition, from, to }) => [partition, sizeOf(from, to)]));
    this.#engine = new DeliveryEngine({
      spec: laneSpec(subscription),
      epoch: spec.epoch,
      now: deps.now,
      random: deps.random,
      mayReceive: (topic) => session.mayReceive(topic),
      heldMax: deps.heldMax,
      heldBytesMax: deps.readAheadBytes,
      // A lane has one consumer and keeps no cursor.
      parkedKeysMax: 0,
      cursorBytesMax: Infinity,
      retryWindow: deps.retryWindow,
    });
    for (const { partition, from } of windows) this.#engine.openPartition(partition, from);
    this.#driver = this.#makeDriver();
    this.#driver.attach(consumer, spec.sink);
  }

  /** Begins to read, in a later turn: the consumer hears nothing before it has its attachment. */
  start(): void {
    setImmediate(() => void this.#read());
  }

  /** Events that are matched and not settled. */
  get held(): number {
    return this.#engine.held;
  }

  status(): ReplayStatus {
    const { id, consumer, rateMax, startedMs } = this;
    const { delivered, filtered, dropped, expired } = this.#engine.counters;
    const subscription = this.subscription.name;
    let lag = 0;
    for (const left of this.#left.values()) lag += left;
    const counts = { delivered, filtered, dropped, expired, lag };
    return { id, subscription, consumer, ...counts, rateMax, startedMs };
  }

  credit(events: number, bytes: number): void {
    this.#credit += events;
    this.#driver.credit(this.consumer, 0, bytes);
  }

  /** Takes back what is left of the credit once the consumer has what the pace lets through. */
  async drain(): Promise<void> {
    await this.#driver.drain(this.consumer);
    this.#credit = 0;
    this.#granted = 0;
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): Settled {
    return this.#driver.settle(this.consumer, ids, outcome, cumulative);
  }

  /** The mesh ends it; without a reason it is through. Idempotent. */
  end(reason: MeshError | undefined): void {
    if (this.#leave()) this.#driver.end(reason);
  }

  /** The consumer leaves. Idempotent. */
  detach(): void {
    if (this.#leave()) this.#driver.close();
  }

  /** Whether it was not over yet. */
  #leave(): boolean {
    if (this.#over.signal.aborted) return false;
    this.#over.abort();
    this.#room?.();
    this.#count();
    this.#deps.onEnded(this);
    return true;
  }

  #makeDriver(): EngineDriver {
    const engine = this.#engine;
    return new EngineDriver({
      engine,
      now: this.#deps.now,
      beforeTurn: () => this.#grant(),
      onDelivered: (_, deliveries) => this.#handOver(deliveries),
      // A lane keeps no dead letters: the event is in the log, and has its live deliveries.
      bury: (dead) => {
        for (const entry of dead) engine.retire(entry, 'dropped');
      },
      afterTurn: () => this.#afterTurn(),
      waitMs: () => this.#paceMs(),
    });
  }

  async #read(): Promise<void> {
    const { store, logName, readAheadBytes, logger } = this.#deps;
    const { name: subscription, tenant, topicFilters } = this.subscription;
    const { windows } = this.#spec;
    const about = { store, log: logName(tenant), windows, topicFilters, subscription };
    const { signal } = this.#over;
    this.#through = await readWindows(
      { ...about, readAheadBytes, signal, logger },
      (window, item) => {
        if (item.kind === 'gap') this.#gap(window, item);
        else this.#offer(window, item);
        return this.#awaitRoom();
      },
    );
    this.#driver.wake();
  }

  #gap({ partition, to }: Window, gap: Extract<Scanned, { kind: 'gap' }>): void {
    this.#engine.advance(partition, gap.to, 0);
    this.#driver.gap({ partition, from: gap.from, to: gap.to });
    this.#left.set(partition, to - gap.to);
  }

  #offer({ partition, to }: Window, part: Extract<Scanned, { kind: 'part' }>): void {
    let filtered = part.others;
    const { expired } = this.#spec.options;
    this.#partition = partition;
    for (const { position, record } of part.found) {
      if (!this.#matches(new EventView(record.event))) filtered++;
      else {
        // Marked here, so that the consumer's credit in bytes counts what goes out.
        const event = Buffer.concat([record.event, this.#mark]);
        const expiryMs = expired ? 0 : record.expiryMs;
        this.#engine.offer(partition, position, { ...record, event, expiryMs });
      }
    }
    this.#engine.advance(partition, part.upTo, filtered);
    this.#left.set(partition, to - part.upTo);
    this.#driver.wake();
  }

  async #awaitRoom(): Promise<void> {
    while (this.#engine.saturated && !this.#over.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#room = undefined;
    }
  }

  /** As much of the credit as the pace lets through by now. */
  #grant(): void {
    const grant = Math.min(this.#credit, this.#pace.available) - this.#granted;
    if (grant <= 0) return;
    this.#engine.credit(this.consumer, grant);
    this.#granted += grant;
  }

  #handOver(deliveries: Assignment['deliveries']): void {
    const { length } = deliveries;
    this.#credit -= length;
    this.#granted -= length;
    this.#pace.take(length);
    this.#deps.onDelivered(this, deliveries);
  }

  #afterTurn(): void {
    this.#count();
    if (!this.#engine.saturated) this.#room?.();
    if (this.#through && this.#engine.held === 0) this.end(undefined);
  }

  /** Until the consumer may have what it has credit for and the pace has not let through yet. */
  #paceMs(): number {
    const waits = this.#credit > this.#granted && this.#engine.held > 0;
    return waits ? this.#pace.waitMs : Infinity;
  }

  #count(): void {
    const { delivered, filtered, expired, dropped } = this.#engine.counters;
    const told = this.#told;
    this.#told = { delivered, filtered, expired, dropped };
    this.#deps.onCounted(this, {
      delivered: delivered - told.delivered,
      filtered: filtered - told.filtered,
      expired: expired - told.expired,
      dropped: dropped - told.dropped,
    });
  }
}

/** How a lane delivers: as the subscription does, paused or not, and however old the events are. */
function laneSpec(subscription: Subscription): Subscription {
  const retry = { ...subscription.retry, ageMaxMs: 0 };
  return { ...subscription, paused: false, deadLetter: false, deadLetterExpired: false, retry };
}

const sizeOf = (from: number, to: number): number => Math.max(0, to - from + 1);
