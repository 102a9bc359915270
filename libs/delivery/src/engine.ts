import type { RecordView } from '@eventmesh/event';
import { Backlog } from './backlog.ts';
import { Burials } from './burials.ts';
import { Consumers } from './consumers.ts';
import { sumCounters, type Counters } from './counters.ts';
import { Dispatch, type Assignment } from './dispatch.ts';
import type { Entry } from './entry.ts';
import { stuckKey, type StuckKey } from './key-order.ts';
import { Leases } from './leases.ts';
import { Offers } from './offers.ts';
import { Parking } from './parking.ts';
import type { PartitionCursor, PositionRange } from './cursor.ts';
import { PartitionProgress } from './progress.ts';
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
  /** Most keys of which events wait in the log, so that others can go on; 0: none. */
  readonly parkedKeysMax: number;
  /** Bytes of a partition's cursor, as it is packed, from which on reading pauses. */
  readonly cursorBytesMax: number;
}

/**
 * What keeps a subscription from reading though a consumer would take more: `memory` is full of
 * events of which each is out, tried again, or being buried; as many `keys` as may be are parked;
 * or the `cursor` of a partition is as large as it may be.
 */
export type Stopped = 'memory' | 'keys' | 'cursor';

/**
 * The state machine of one subscription: what is ready, who has credit, what is out until when, what
 * comes again and when. No I/O and no timers: the caller offers records, hands out what `pump`
 * assigns, calls `tick` when `nextDue` says so, writes cursors and dead letters.
 *
 * An event is in memory from its offer until it is settled, and everything kept for it with it; the
 * caller stops offering while `saturated`. Events of a parked key (see `Parking`) are not in memory,
 * and are offered again when `wantedFrom` says so.
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
  readonly #parking: Parking;
  readonly #offers: Offers;
  #cursorsFull = false;
  #paused: boolean;

  constructor(options: EngineOptions) {
    const { spec, epoch, random, mayReceive } = options;
    const { parkedKeysMax: keysMax, heldMax, heldBytesMax } = options;
    const { inFlightMax } = spec;
    const leases = new Leases(epoch, spec.ackTimeoutMs);
    const backlog = new Backlog(spec.ordered, leases, (key) => this.#parking.eased(key));
    const consumers = new Consumers(inFlightMax);
    const settling = new Settling({ spec, random, backlog, leases, burials: this.#burials });
    this.#options = options;
    this.#leases = leases;
    this.#backlog = backlog;
    this.#consumers = consumers;
    this.#settling = settling;
    this.#parking = new Parking({ keysMax, heldMax, heldBytesMax, backlog });
    this.#offers = new Offers({ now: options.now, backlog, settling, parking: this.#parking });
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

  /** Matched and not settled, in memory or parked. */
  get held(): number {
    return this.#backlog.held + this.#parking.events;
  }

  /** Those of them that are not in memory. */
  get parkedEvents(): number {
    return this.#parking.events;
  }

  get parkedKeys(): number {
    return this.#parking.keys;
  }

  /** Bytes of their events. */
  get heldBytes(): number {
    return this.#backlog.heldBytes;
  }

  get consumers(): number {
    return this.#consumers.size;
  }

  get inFlight(): number {
    return this.#leases.size;
  }

  /** Matched events that were not tried yet: nobody had credit, or their turn has not come. */
  get untried(): number {
    return this.#backlog.untried;
  }

  /** Enough is held: offer no more until this is false again. */
  get saturated(): boolean {
    return this.#cursorsFull || this.#parking.isFullOf('new');
  }

  /** Of the largest cursor that was written last. */
  get cursorBytes(): number {
    return Math.max(0, ...[...this.#progress.values()].map(({ cursorBytes }) => cursorBytes));
  }

  /** Undefined while reading goes on, and while it waits for the consumers alone. */
  get stopped(): Stopped | undefined {
    if (this.#cursorsFull) return 'cursor';
    if (!this.saturated || !this.#dispatch.starved) return undefined;
    return this.#parking.isFull ? 'keys' : 'memory';
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
    this.#offers.offer(this.partition(partition), position, record);
  }

  /** Some partition has events that are wanted back. */
  get wantsAgain(): boolean {
    return this.#parking.wants;
  }

  /** Where to read a partition from for `offerAgain`; undefined while nothing is wanted back. */
  wantedFrom(partition: number): number | undefined {
    return this.#parking.wantedFrom(this.partition(partition));
  }

  /** As much is in memory as may be: read nothing again until this is false. */
  get fullAgain(): boolean {
    return this.#parking.isFullOf('again');
  }

  /**
   * Offers what a partition has from a position up to another once more, for parked keys that want
   * their events back. `matches` says whether the filters match, as they did before. What is not
   * wanted is left alone. Answers the first position that was not looked at, for lack of room.
   */
  offerAgain(
    partition: number,
    from: number,
    upTo: number,
    records: Iterable<readonly [position: number, record: RecordView]>,
    matches: (record: RecordView) => boolean,
  ): number {
    return this.#offers.offerAgain(this.partition(partition), from, upTo, records, matches);
  }

  /** The key of an event that is parked: who holds it up, and how many wait before and behind. */
  parkedAt(partition: number, position: number, record: RecordView): StuckKey | undefined {
    const key = this.#backlog.findKey(record);
    const { progress, from = Infinity } = key?.parked ?? {};
    if (key === undefined || progress?.partition !== partition) return undefined;
    if (position < from || position >= progress.next) return undefined;
    return stuckKey(key, this.#options.now());
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
    if (this.#paused) return [];
    const assignments = this.#dispatch.round(this.#options.now(), max);
    if (this.#dispatch.starved && this.saturated) this.#parking.makeRoom();
    return assignments;
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

  /**
   * Partitions whose cursor has moved, with what to write; marks them clean. Large cursors are
   * written less often, and left out unless `all` are asked for.
   */
  takeCursors(all: boolean): PartitionCursor[] {
    const out: PartitionCursor[] = [];
    const now = this.#options.now();
    let full = false;
    for (const progress of this.#progress.values()) {
      if (progress.dirty && (all || progress.isDue(now))) out.push(progress.take(now));
      full ||= progress.cursorBytes >= this.#options.cursorBytesMax;
    }
    this.#cursorsFull = full;
    return out;
  }

  /** A cursor could not be written. */
  cursorFailed(partition: number): void {
    this.partition(partition).markDirty();
  }
}
