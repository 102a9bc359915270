import type { RecordView } from '@eventmesh/event';
import { Backlog } from './backlog.ts';
import { Burials } from './burials.ts';
import { Consumers } from './consumers.ts';
import { sumCounters, type Counters } from './counters.ts';
import { Dispatch, type Assignment } from './dispatch.ts';
import { Entry } from './entry.ts';
import type { StuckKey } from './key-order.ts';
import { Leases } from './leases.ts';
import { PartitionProgress, type PartitionCursor, type PositionRange } from './progress.ts';
import { Settling, type Settle } from './settling.ts';
import type { PartitionState } from './state.ts';
import type { SubscriptionSpec } from './subscription.ts';

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

/** Most settled ranges that a cursor keeps above its floor. */
const CURSOR_RANGES_MAX = 4096;

/**
 * The state machine of one subscription: what is ready, who has credit, what is out until when, what
 * comes again and when. No I/O and no timers: the caller offers records, hands out what `pump`
 * assigns, calls `tick` when `nextDue` says so, writes cursors and dead letters.
 *
 * An event is in memory from its offer until it is settled, and everything kept for it with it; the
 * caller stops offering while `saturated`.
 */
export class DeliveryEngine {
  readonly #options: EngineOptions;
  readonly #progress = new Map<number, PartitionProgress>();
  readonly #consumers: Consumers;
  readonly #leases: Leases;
  readonly #backlog: Backlog;
  readonly #burials = new Burials();
  readonly #settling: Settling;
  readonly #dispatch: Dispatch;
  #paused: boolean;

  constructor(options: EngineOptions) {
    const { spec, epoch, random, mayReceive } = options;
    const { inFlightMax } = spec;
    const leases = new Leases(epoch, spec.ackTimeoutMs);
    const backlog = new Backlog(spec.ordered, leases);
    const consumers = new Consumers(inFlightMax);
    const settling = new Settling({ spec, random, backlog, leases, burials: this.#burials });
    this.#options = options;
    this.#leases = leases;
    this.#backlog = backlog;
    this.#consumers = consumers;
    this.#settling = settling;
    this.#dispatch = new Dispatch({
      inFlightMax,
      mayReceive,
      backlog,
      consumers,
      leases,
      settling,
    });
    this.#paused = spec.paused;
  }

  /** The books over all partitions. */
  get counters(): Counters {
    return sumCounters([...this.#progress.values()].map(({ counters }) => counters));
  }

  /** Matched and not settled. */
  get held(): number {
    return this.#backlog.held;
  }

  get consumers(): number {
    return this.#consumers.size;
  }

  get inFlight(): number {
    return this.#leases.size;
  }

  /** Enough is held: offer no more until this is false again. */
  get saturated(): boolean {
    const { held, heldBytes } = this.#backlog;
    return held >= this.#options.heldMax || heldBytes >= this.#options.heldBytesMax;
  }

  /** An event waits because nobody can tell whether it may go out. */
  get blocked(): boolean {
    return this.#dispatch.blocked;
  }

  /** Keys that wait behind an event that is out, retried or being buried; the longest wait first. */
  stuckKeys(max: number): StuckKey[] {
    return this.#backlog.stuckKeys(max, this.#options.now());
  }

  /** Starts a partition at its cursor. */
  openPartition(
    partition: number,
    floor: number,
    settled: readonly PositionRange[] = [],
    state?: PartitionState,
  ): void {
    this.#progress.set(partition, new PartitionProgress(partition, floor, settled, state));
  }

  partition(partition: number): PartitionProgress {
    const progress = this.#progress.get(partition);
    if (progress === undefined) throw new Error(`partition ${partition} is not open`);
    return progress;
  }

  /** What is matched and not settled at a position, to look at. Searches all that is held. */
  find(partition: number, position: number): Readonly<Entry> | undefined {
    for (const entries of [this.#leases.values(), this.#backlog.values(), this.#burials.values()]) {
      for (const entry of entries) {
        if (entry.position === position && entry.partition === partition) return entry;
      }
    }
    return undefined;
  }

  /** A record that topic and filters match. Positions of a partition rise. */
  offer(partition: number, position: number, record: RecordView): void {
    const progress = this.partition(partition);
    if (position < progress.next) return;
    if (progress.wasSettled(position)) {
      progress.advance(position);
      return;
    }
    progress.counters.considered++;
    const expired = record.expiryMs !== 0 && record.expiryMs <= this.#options.now();
    if (expired && !this.#settling.keepsExpired) {
      progress.counters.expired++;
      progress.advance(position);
      return;
    }
    const entry = new Entry(progress, position, record, progress.failures(position));
    progress.open(position);
    this.#backlog.hold(entry);
    if (expired) this.#settling.buryExpired(entry);
    else this.#backlog.add(entry);
  }

  /**
   * Records up to `upTo` were looked at; `filtered` of them did not match. What was counted before
   * a restart is not counted again: the caller stops at the partition's `countedUpTo` once.
   */
  advance(partition: number, upTo: number, filtered: number): void {
    const progress = this.partition(partition);
    progress.advance(upTo);
    if (upTo <= progress.countedUpTo) return;
    progress.counters.considered += filtered;
    progress.counters.filtered += filtered;
  }

  /** A filter could not be evaluated on a record of this partition. */
  filterFailed(partition: number): void {
    this.partition(partition).counters.filterErrors++;
  }

  /** A consumer of a name that is attached takes its place: what that one has becomes ready. */
  attach(name: string): void {
    this.detach(name);
    this.#consumers.add(name);
  }

  /** Its deliveries become ready again and its keys free; a disconnect is no failure of the event. */
  detach(name: string): void {
    const consumer = this.#consumers.remove(name);
    if (consumer !== undefined) this.#settling.takeBack(consumer);
  }

  /** Adds to what a consumer is ready for; once it has named bytes, they bound it, too. */
  credit(name: string, events: number, bytes = 0): void {
    this.#consumers.find(name)?.give(events, bytes);
  }

  pause(paused: boolean): void {
    this.#paused = paused;
  }

  /** Assigns what is ready to consumers with credit, at most `max` events. */
  pump(max = Infinity): Assignment[] {
    return this.#paused ? [] : this.#dispatch.round(this.#options.now(), max);
  }

  /**
   * Settles deliveries of a consumer; `settled` hears of each that is done with. Answers the ids
   * that are stale or unknown here: settled before, run out, recalled with an older event of their
   * key, of another consumer, or of another epoch.
   */
  settle(
    name: string,
    ids: readonly number[],
    outcome: Settle,
    settled: (entry: Entry) => void = () => undefined,
  ): number[] {
    const refused: number[] = [];
    const now = this.#options.now();
    // A release recalls what is behind it in its key, so of several the last one goes first.
    const order = outcome.kind === 'release' && this.#options.spec.ordered ? ids.toReversed() : ids;
    for (const id of order) {
      const lease = this.#leases.find(id);
      if (lease === undefined || lease.consumer.name !== name) refused.push(id);
      else if (this.#settling.settle(lease, outcome, now)) settled(lease.entry);
    }
    return refused;
  }

  /**
   * For a cumulative settle: these ids, and all that are out at the consumer and older than the
   * newest of them, the oldest first. Ids that were not given out here bring nothing else with them.
   */
  upTo(name: string, ids: readonly number[]): number[] {
    const leases = this.#leases;
    let newest: number | undefined;
    for (const id of ids) {
      if (!leases.issued(id)) continue;
      if (newest === undefined || leases.notAfter(newest, id)) newest = id;
    }
    const all = new Set(ids);
    if (newest === undefined) return [...all];
    for (const { id } of this.#consumers.find(name)?.out ?? []) {
      if (!leases.notAfter(id, newest)) break;
      all.add(id);
    }
    return [...all].sort((a, b) => (a === b ? 0 : leases.notAfter(a, b) ? -1 : 1));
  }

  /** Leases that ran out count as failures; delayed events that are due become ready. */
  tick(): void {
    const now = this.#options.now();
    this.#settling.runOut(now);
    this.#backlog.wakeDue(now);
  }

  /** When `tick` or `takeDead` has something to do next, in ms; undefined when they have not. */
  get nextDue(): number | undefined {
    const lease = this.#leases.first?.endMs ?? Infinity;
    const { nextDue: later = Infinity } = this.#backlog;
    const { nextDue: letter = Infinity } = this.#burials;
    const next = Math.min(lease, later, letter);
    return next === Infinity ? undefined : next;
  }

  /** Events to be written to the dead letters; each then goes to `retire`, or back by `revive`. */
  takeDead(): readonly Entry[] {
    return this.#burials.take(this.#options.now());
  }

  /** The dead letter is durable (or the policy is to drop): only now is the source settled. */
  retire(entry: Entry, outcome: 'dead-lettered' | 'dropped'): void {
    const { counters } = entry.progress;
    if (outcome === 'dead-lettered') counters.deadLettered++;
    else counters.dropped++;
    this.#burials.end(entry);
    this.#backlog.remove(entry, this.#options.now());
  }

  /** The dead letter could not be written: the event is held, and given by `takeDead` again. */
  revive(entry: Entry, delayMs: number): void {
    this.#burials.postpone(entry, this.#options.now() + delayMs);
  }

  /** Partitions whose cursor has moved, with what to write; marks them clean. */
  takeCursors(): PartitionCursor[] {
    const out: PartitionCursor[] = [];
    for (const progress of this.#progress.values()) {
      if (progress.dirty) out.push(progress.take(CURSOR_RANGES_MAX));
    }
    return out;
  }

  /** A cursor could not be written. */
  cursorFailed(partition: number): void {
    this.partition(partition).markDirty();
  }
}
