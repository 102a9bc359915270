import type { Delivery, ReplayStatus, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import { DeliveryEngine, type Assignment, type Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import { EventView, encodeAttribute } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import type { LaneCounts, LaneDeps, LaneName, LaneSpec } from './lane-spec.ts';
import { Pace } from './pace.ts';
import { readWindows } from './read-windows.ts';
import type { Scanned } from './scan.ts';
import type { Window } from './window.ts';

/** The attribute that tells a replayed event from a live one. */
const MARK = 'meshreplay';
/** How long to wait while nobody can tell whether an event may go out. */
const BLOCKED_MS = 500;

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
  #pumping = false;
  #timer: NodeJS.Timeout | undefined;
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
    this.#engine.attach(consumer);
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
    if (bytes > 0) this.#engine.credit(this.consumer, 0, bytes);
    this.#schedule();
  }

  /** Takes back what is left of the credit once the consumer has what the pace lets through. */
  async drain(): Promise<void> {
    this.#schedule();
    // Behind the pump that is scheduled now.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    this.#credit = 0;
    this.#granted = 0;
    this.#engine.withdraw(this.consumer);
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): Settled {
    const all = cumulative ? this.#engine.upTo(this.consumer, ids) : ids;
    const refused = this.#engine.settle(this.consumer, all, outcome);
    this.#schedule();
    return { refused, count: all.length - refused.length };
  }

  /** The mesh ends it; without a reason it is through. Idempotent. */
  end(reason: MeshError | undefined): void {
    if (!this.#close()) return;
    this.#spec.sink.ended(reason);
  }

  /** The consumer leaves. Idempotent. */
  detach(): void {
    this.#close();
  }

  #close(): boolean {
    if (this.#over.signal.aborted) return false;
    this.#over.abort();
    clearTimeout(this.#timer);
    this.#room?.();
    this.#count();
    this.#deps.onEnded(this);
    return true;
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
    this.#schedule();
  }

  #gap({ partition, to }: Window, gap: Extract<Scanned, { kind: 'gap' }>): void {
    this.#engine.advance(partition, gap.to, 0);
    this.#spec.sink.gap({ partition, from: gap.from, to: gap.to });
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
    this.#schedule();
  }

  async #awaitRoom(): Promise<void> {
    while (this.#engine.saturated && !this.#over.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#room = undefined;
    }
  }

  /** Once a turn, however many parts, credits and settles came in it. */
  #schedule(): void {
    if (this.#pumping || this.#over.signal.aborted) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      if (!this.#over.signal.aborted) this.#pump();
    });
  }

  #pump(): void {
    const engine = this.#engine;
    engine.tick();
    const grant = Math.min(this.#credit, this.#pace.available) - this.#granted;
    if (grant > 0) {
      engine.credit(this.consumer, grant);
      this.#granted += grant;
    }
    for (const { deliveries } of engine.pump()) this.#handOver(deliveries);
    // A lane keeps no dead letters: the event is in the log, and has its live deliveries.
    for (const entry of engine.takeDead()) engine.retire(entry, 'dropped');
    this.#count();
    if (!engine.saturated) this.#room?.();
    if (this.#through && engine.held === 0) this.end(undefined);
    else this.#setTimer();
  }

  #handOver(deliveries: Assignment['deliveries']): void {
    const { length } = deliveries;
    this.#credit -= length;
    this.#granted -= length;
    this.#pace.take(length);
    this.#deps.onDelivered(this, deliveries);
    this.#spec.sink.deliver(deliveries.map(toDelivery));
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const now = this.#deps.now();
    const waits: number[] = [];
    const due = this.#engine.nextDue;
    if (due !== undefined) waits.push(due - now);
    if (this.#engine.blocked) waits.push(BLOCKED_MS);
    // The consumer has credit that the pace has not let through yet.
    if (this.#credit > this.#granted && this.#engine.held > 0) waits.push(this.#pace.waitMs);
    if (waits.length === 0) return;
    this.#timer = setTimeout(() => this.#schedule(), Math.max(1, Math.min(...waits)));
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

function toDelivery({ id, entry }: Assignment['deliveries'][number]): Delivery {
  const { record, partition, position, attempts } = entry;
  const { topic, originSite, ingressTimeUs, event } = record;
  return { id, attempt: attempts, topic, event, partition, position, originSite, ingressTimeUs };
}

/** How a lane delivers: as the subscription does, paused or not, and however old the events are. */
function laneSpec(subscription: Subscription): Subscription {
  const retry = { ...subscription.retry, ageMaxMs: 0 };
  return { ...subscription, paused: false, deadLetter: false, deadLetterExpired: false, retry };
}

const sizeOf = (from: number, to: number): number => Math.max(0, to - from + 1);
