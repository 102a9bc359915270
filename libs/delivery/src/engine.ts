import type { RecordView } from '@eventmesh/event';
import { PartitionProgress, type PositionRange } from './progress.ts';
import { DueHeap, Fifo } from './queues.ts';
import { retryDelayMs } from './retry.ts';
import type { SubscriptionSpec } from './subscription.ts';

/** A matched event until it is settled. */
export interface Entry {
  readonly partition: number;
  readonly position: number;
  readonly record: RecordView;
  /** Order key with its topic; empty when no order is promised. */
  readonly orderKey: string;
  /** The one event of its key that may be out now. */
  holdsKey: boolean;
  /** Deliveries so far. */
  attempts: number;
  /** Deliveries that failed; only these lead to the dead letters. */
  failures: number;
  /** Why the last delivery failed. */
  reason: string;
}

interface InFlight {
  readonly id: number;
  readonly entry: Entry;
  readonly consumer: Consumer;
  /** When the lease runs out, in ms. */
  deadline: number;
}

interface Consumer {
  readonly name: string;
  events: number;
  bytes: number;
  bytesBounded: boolean;
  readonly inFlight: Set<InFlight>;
}

/** Deliveries that the caller now has to hand to a consumer. */
export interface Assignment {
  readonly consumer: string;
  readonly deliveries: readonly { readonly id: number; readonly entry: Entry }[];
}

export type Settle =
  | { readonly kind: 'accept' }
  | { readonly kind: 'release'; readonly delayMs?: number }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'renew' };

/** considered = delivered + filtered + expired + deadLettered + dropped + held. */
export interface Counters {
  considered: number;
  delivered: number;
  filtered: number;
  expired: number;
  deadLettered: number;
  dropped: number;
  redelivered: number;
  filterErrors: number;
}

export interface EngineOptions {
  readonly spec: SubscriptionSpec;
  /** Ownership epoch; becomes part of every delivery id. */
  readonly epoch: number;
  /** Milliseconds; wall clock, since expiry is absolute. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Asked at each delivery, on the concrete topic; undefined: cannot be told now, so hold. */
  readonly mayReceive: (topic: string) => boolean | undefined;
  /** Matched events held in memory, ready or in flight, before reading must pause. */
  readonly heldMax: number;
  readonly heldBytesMax: number;
}

/** What survives a restart beside the cursors. */
export interface EngineState {
  readonly counters: Counters;
  /** Failures of events that are not settled, by `partition/position`. */
  readonly failures: Readonly<Record<string, number>>;
}

const SEQUENCE_SPAN = 2 ** 32;
const EPOCH_SPAN = 2 ** 20;
/** Most settled ranges that a cursor keeps above its floor. */
const CURSOR_RANGES_MAX = 4096;

/**
 * The state machine of one subscription: what is ready, who has credit, what is in flight until
 * when, what comes again and when. No I/O and no timers: the caller offers records, hands out what
 * `pump` assigns, calls `tick` when `nextDue` says so, writes cursors and dead letters.
 */
export class DeliveryEngine {
  readonly counters: Counters;
  readonly #options: EngineOptions;
  readonly #progress = new Map<number, PartitionProgress>();
  readonly #failures: Map<string, number>;
  readonly #consumers = new Map<string, Consumer>();
  readonly #ready = new Fifo<Entry>();
  /** Released and expired deliveries, ahead of what was never delivered. */
  readonly #again = new Fifo<Entry>();
  readonly #later = new DueHeap<Entry>();
  /** Taken from a queue when nobody could tell whether it may go out. */
  #parked: Entry | undefined;
  /** By delivery id, in the order in which the leases run out. */
  readonly #inFlight = new Map<number, InFlight>();
  /** Ordered subscriptions: keys with an event in flight or waiting for its retry. */
  readonly #busyKeys = new Map<string, Fifo<Entry>>();
  #dead: Entry[] = [];
  #deadPending = 0;
  #sequence = 0;
  #held = 0;
  #heldBytes = 0;
  #turn = 0;
  #paused: boolean;

  constructor(options: EngineOptions, state?: EngineState) {
    this.#options = options;
    this.#paused = options.spec.paused;
    this.#failures = new Map(Object.entries(state?.failures ?? {}));
    this.counters = { ...NO_COUNTS, ...state?.counters };
  }

  /** Matched and not settled. */
  get held(): number {
    return this.#held;
  }

  get consumers(): number {
    return this.#consumers.size;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Enough is held: offer no more until this is false again. */
  get saturated(): boolean {
    return this.#held >= this.#options.heldMax || this.#heldBytes >= this.#options.heldBytesMax;
  }

  /** An event waits because nobody can tell whether it may go out. */
  get blocked(): boolean {
    return this.#parked !== undefined;
  }

  /** Starts a partition at its cursor. */
  openPartition(partition: number, floor: number, settled: readonly PositionRange[] = []): void {
    this.#progress.set(partition, new PartitionProgress(floor, settled));
  }

  partition(partition: number): PartitionProgress {
    const progress = this.#progress.get(partition);
    if (progress === undefined) throw new Error(`partition ${partition} is not open`);
    return progress;
  }

  /** A record that topic and filters match. Positions of a partition rise. */
  offer(partition: number, position: number, record: RecordView): void {
    const progress = this.partition(partition);
    if (position < progress.next) return;
    if (progress.wasSettled(position)) {
      progress.advance(position);
      return;
    }
    this.counters.considered++;
    progress.open(position);
    this.#held++;
    this.#heldBytes += record.event.length;
    const failures = this.#failures.get(`${partition}/${position}`) ?? 0;
    const orderKey =
      this.#options.spec.ordered && record.key !== '' ? `${record.topic}\0${record.key}` : '';
    this.#ready.push({
      partition,
      position,
      record,
      orderKey,
      holdsKey: false,
      attempts: failures,
      failures,
      reason: '',
    });
  }

  /**
   * Records up to `upTo` were looked at; `filtered` of them did not match. What was counted before
   * a restart is not counted again: the caller stops at the partition's `countedUpTo` once.
   */
  advance(partition: number, upTo: number, filtered: number): void {
    const progress = this.partition(partition);
    progress.advance(upTo);
    if (upTo <= progress.countedUpTo) return;
    this.counters.considered += filtered;
    this.counters.filtered += filtered;
  }

  attach(consumer: string): void {
    this.#consumers.set(consumer, {
      name: consumer,
      events: 0,
      bytes: 0,
      bytesBounded: false,
      inFlight: new Set(),
    });
  }

  /** Its deliveries become ready again; a disconnect is no failure of the event. */
  detach(name: string): void {
    const consumer = this.#consumers.get(name);
    if (consumer === undefined) return;
    this.#consumers.delete(name);
    for (const flight of consumer.inFlight) {
      this.#inFlight.delete(flight.id);
      this.#again.push(flight.entry);
    }
  }

  credit(name: string, events: number, bytes = 0): void {
    const consumer = this.#consumers.get(name);
    if (consumer === undefined) return;
    consumer.events += events;
    if (bytes > 0) {
      consumer.bytesBounded = true;
      consumer.bytes += bytes;
    }
  }

  pause(paused: boolean): void {
    this.#paused = paused;
  }

  /** Assigns what is ready to consumers with credit. */
  pump(): Assignment[] {
    if (this.#paused || this.#consumers.size === 0) return NOTHING;
    const consumers = [...this.#consumers.values()];
    const assigned = new Map<Consumer, { id: number; entry: Entry }[]>();
    const now = this.#options.now();
    let room = this.#options.spec.inFlightMax - this.#inFlight.size;
    while (room > 0) {
      const consumer = this.#nextConsumer(consumers);
      if (consumer === undefined) break;
      const entry = this.#nextEntry(now);
      if (entry === undefined) break;
      const id = this.#nextId();
      const deadline = now + this.#options.spec.ackTimeoutMs;
      const flight: InFlight = { id, entry, consumer, deadline };
      this.#inFlight.set(id, flight);
      consumer.inFlight.add(flight);
      consumer.events--;
      if (consumer.bytesBounded) consumer.bytes -= entry.record.event.length;
      if (++entry.attempts > 1) this.counters.redelivered++;
      room--;
      const list = assigned.get(consumer);
      if (list === undefined) assigned.set(consumer, [{ id, entry }]);
      else list.push({ id, entry });
    }
    return [...assigned].map(([{ name }, deliveries]) => ({ consumer: name, deliveries }));
  }

  /**
   * Settles deliveries of a consumer; `settled` hears of each that is done with. Answers the ids
   * that are unknown here: settled before, run out, or of an older epoch.
   */
  settle(
    name: string,
    ids: readonly number[],
    outcome: Settle,
    settled: (entry: Entry) => void = () => undefined,
  ): number[] {
    const refused: number[] = [];
    for (const id of ids) {
      const flight = this.#inFlight.get(id);
      if (flight === undefined || flight.consumer.name !== name) refused.push(id);
      else this.#settleOne(flight, outcome, settled);
    }
    return refused;
  }

  /** Ids in flight at a consumer, oldest first, up to and including `id`. */
  upTo(name: string, id: number): number[] {
    const ids: number[] = [];
    for (const flight of this.#consumers.get(name)?.inFlight ?? []) {
      if (flight.id <= id) ids.push(flight.id);
    }
    return ids;
  }

  /** Leases that ran out count as failures; delayed events that are due become ready. */
  tick(): void {
    const now = this.#options.now();
    for (const flight of this.#inFlight.values()) {
      if (flight.deadline > now) break;
      this.#land(flight);
      this.#fail(flight.entry, 'the acknowledgement time ran out', now);
    }
    for (
      let entry = this.#later.popDue(now);
      entry !== undefined;
      entry = this.#later.popDue(now)
    ) {
      this.#again.push(entry);
    }
  }

  /** When `tick` has something to do next, in ms; undefined when it has not. */
  get nextDue(): number | undefined {
    const first = this.#inFlight.values().next();
    const lease = first.done === true ? undefined : first.value.deadline;
    const later = this.#later.nextDue;
    if (lease === undefined || later === undefined) return lease ?? later;
    return Math.min(lease, later);
  }

  /** Events to be written to the dead letters; each then goes to `retire`, or back by `revive`. */
  takeDead(): Entry[] {
    const dead = this.#dead;
    this.#dead = [];
    this.#deadPending += dead.length;
    return dead;
  }

  /** The dead letter is durable (or the policy is to drop): only now is the source settled. */
  retire(entry: Entry, outcome: 'dead-lettered' | 'dropped'): void {
    this.#deadPending--;
    if (outcome === 'dead-lettered') this.counters.deadLettered++;
    else this.counters.dropped++;
    this.#done(entry);
  }

  /** The dead letter could not be written: hold the event, try again later. */
  revive(entry: Entry, delayMs: number): void {
    this.#deadPending--;
    this.#later.push(this.#options.now() + delayMs, entry);
  }

  /** Failures of unsettled events and the counters, for the cursor's state. */
  state(): EngineState {
    // What is held will be looked at again.
    const counters = { ...this.counters, considered: this.counters.considered - this.#held };
    return { counters, failures: Object.fromEntries(this.#failures) };
  }

  /** A cursor could not be written. */
  cursorFailed(partition: number): void {
    this.partition(partition).markDirty();
  }

  /** Partitions whose cursor has moved, with what to write. */
  takeCursors(): { partition: number; floor: number; settled: PositionRange[] }[] {
    const out: { partition: number; floor: number; settled: PositionRange[] }[] = [];
    for (const [partition, progress] of this.#progress) {
      if (progress.dirty) out.push({ partition, ...progress.take(CURSOR_RANGES_MAX) });
    }
    return out;
  }

  #settleOne(flight: InFlight, outcome: Settle, settled: (entry: Entry) => void): void {
    const { entry } = flight;
    const now = this.#options.now();
    if (outcome.kind === 'renew') {
      // Taken out and put back: the map stays in the order in which leases run out.
      this.#inFlight.delete(flight.id);
      flight.deadline = now + this.#options.spec.ackTimeoutMs;
      this.#inFlight.set(flight.id, flight);
      return;
    }
    this.#land(flight);
    if (outcome.kind === 'accept') {
      this.counters.delivered++;
      this.#done(entry);
    } else if (outcome.kind === 'reject') {
      entry.reason = outcome.reason;
      this.#dead.push(entry);
    } else if (outcome.delayMs !== undefined && outcome.delayMs > 0) {
      this.#later.push(now + outcome.delayMs, entry);
      return;
    } else {
      this.#fail(entry, 'released by the consumer', now);
      return;
    }
    settled(entry);
  }

  #land(flight: InFlight): void {
    this.#inFlight.delete(flight.id);
    flight.consumer.inFlight.delete(flight);
  }

  #fail(entry: Entry, reason: string, now: number): void {
    entry.failures++;
    entry.reason = reason;
    this.#failures.set(`${entry.partition}/${entry.position}`, entry.failures);
    this.partition(entry.partition).markDirty();
    const delay = retryDelayMs(this.#options.spec.retry, entry.failures, this.#options.random);
    if (delay === undefined) this.#dead.push(entry);
    else this.#later.push(now + delay, entry);
  }

  #done(entry: Entry): void {
    this.#held--;
    this.#heldBytes -= entry.record.event.length;
    this.partition(entry.partition).settle(entry.position);
    if (entry.failures > 0) this.#failures.delete(`${entry.partition}/${entry.position}`);
    if (entry.holdsKey) this.#freeKey(entry.orderKey);
  }

  /** The next event that may go out now; expired and forbidden ones are settled on the way. */
  #nextEntry(now: number): Entry | undefined {
    for (;;) {
      const entry = this.#parked ?? this.#again.shift() ?? this.#ready.shift();
      if (entry === undefined) return undefined;
      this.#parked = undefined;
      if (this.#waitsForKey(entry)) continue;
      const { expiryMs, topic } = entry.record;
      if (expiryMs !== 0 && expiryMs <= now) {
        this.counters.expired++;
        this.#done(entry);
        continue;
      }
      const allowed = this.#options.mayReceive(topic);
      if (allowed === true) return entry;
      if (allowed === undefined) {
        this.#parked = entry;
        return undefined;
      }
      this.counters.dropped++;
      this.#done(entry);
    }
  }

  /**
   * In an ordered subscription one event of a key is out at a time; the next ones wait behind it,
   * also while it waits for its retry, and hold back nothing else.
   */
  #waitsForKey(entry: Entry): boolean {
    if (entry.orderKey === '' || entry.holdsKey) return false;
    const waiting = this.#busyKeys.get(entry.orderKey);
    if (waiting !== undefined) {
      waiting.push(entry);
      return true;
    }
    this.#busyKeys.set(entry.orderKey, new Fifo());
    entry.holdsKey = true;
    return false;
  }

  /** The holder of a key is settled: the next one takes over. */
  #freeKey(key: string): void {
    const next = this.#busyKeys.get(key)?.shift();
    if (next === undefined) {
      this.#busyKeys.delete(key);
      return;
    }
    next.holdsKey = true;
    this.#again.push(next);
  }

  /** Consumers take turns, so that credit decides and not the order of arrival. */
  #nextConsumer(consumers: readonly Consumer[]): Consumer | undefined {
    for (let tried = 0; tried < consumers.length; tried++) {
      const consumer = consumers[(this.#turn + tried) % consumers.length];
      if (consumer === undefined) continue;
      if (consumer.events > 0 && (!consumer.bytesBounded || consumer.bytes > 0)) {
        this.#turn = (this.#turn + tried + (consumer.events === 1 ? 1 : 0)) % consumers.length;
        return consumer;
      }
    }
    return undefined;
  }

  #nextId(): number {
    this.#sequence = (this.#sequence + 1) % SEQUENCE_SPAN;
    return (this.#options.epoch % EPOCH_SPAN) * SEQUENCE_SPAN + this.#sequence;
  }
}

const NOTHING: Assignment[] = [];
const NO_COUNTS: Counters = Object.freeze({
  considered: 0,
  delivered: 0,
  filtered: 0,
  expired: 0,
  deadLettered: 0,
  dropped: 0,
  redelivered: 0,
  filterErrors: 0,
});
