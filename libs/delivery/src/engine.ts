import type { RecordView } from '@eventmesh/event';
import type { Backlog } from './backlog.ts';
import type { Consumers } from './consumers.ts';
import type { PartitionCursor, PositionRange } from './cursor.ts';
import type { Assignment, Dispatch } from './dispatch.ts';
import { engineParts, type EngineOptions } from './engine-parts.ts';
import { EngineView } from './engine-view.ts';
import type { Entry } from './entry.ts';
import type { Leases } from './leases.ts';
import type { Offers } from './offers.ts';
import type { Parking } from './parking.ts';
import type { Settle, Settling } from './settling.ts';
import type { PartitionState } from './state.ts';

/**
 * The state machine of one subscription: what is ready, who has credit, what is out until when, what
 * comes again and when. No I/O and no timers: the caller offers records, hands out what `pump`
 * assigns, calls `tick` when `nextDue` says so, writes cursors and dead letters.
 *
 * An event is in memory from its offer until it is settled, and everything kept for it with it; the
 * caller stops offering while `saturated`. Events of a parked key (see `Parking`) are not in memory,
 * and are offered again when `wantedFrom` says so.
 */
export class DeliveryEngine extends EngineView {
  readonly #now: () => number;
  readonly #consumers: Consumers;
  readonly #leases: Leases;
  readonly #backlog: Backlog;
  readonly #settling: Settling;
  readonly #dispatch: Dispatch;
  readonly #parking: Parking;
  readonly #offers: Offers;
  #paused: boolean;

  constructor(options: EngineOptions) {
    const parts = engineParts(options);
    super(parts, options.now);
    this.#now = options.now;
    this.#consumers = parts.consumers;
    this.#leases = parts.leases;
    this.#backlog = parts.backlog;
    this.#settling = parts.settling;
    this.#dispatch = parts.dispatch;
    this.#parking = parts.parking;
    this.#offers = parts.offers;
    this.#paused = options.spec.paused;
  }

  /** Starts a partition at its cursor. */
  openPartition(
    partition: number,
    floor: number,
    settled: readonly PositionRange[] = [],
    state?: PartitionState,
  ): void {
    this.parts.partitions.open(partition, floor, settled, state);
    // Of events that failed nobody knows of a success since.
    this.parts.pace.failed(state?.failures.length ?? 0);
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

  /**
   * Records up to `upTo` were looked at; `filtered` of them did not match. What was counted before
   * a restart is not counted again: those up to the partition's `countedUpTo` are not among them, or
   * told by themselves.
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

  /** Whether the next round may hand something to a consumer. */
  mayTake(name: string): boolean {
    const consumer = this.#consumers.find(name);
    return consumer !== undefined && this.#consumers.mayTake(consumer);
  }

  /** Takes back what is left of a consumer's credit. What is given later begins anew. */
  withdraw(name: string): void {
    this.#consumers.find(name)?.withdraw();
  }

  pause(paused: boolean): void {
    this.#paused = paused;
  }

  /** Assigns what is ready to consumers with credit, at most `max` events. */
  pump(max = Infinity): Assignment[] {
    if (this.#paused) return [];
    const assignments = this.#dispatch.round(this.#now(), max);
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
    return this.#settling.settleAll(name, ids, outcome, this.#now(), settled);
  }

  /**
   * For a cumulative settle: these ids, and all that are out at the consumer and older than the
   * newest of them, the oldest first. Ids that were not given out here bring nothing else with them.
   */
  upTo(name: string, ids: readonly number[]): number[] {
    return this.#leases.upTo(ids, this.#consumers.find(name)?.out ?? []);
  }

  /** Leases that ran out count as failures; delayed events that are due become ready. */
  tick(): void {
    const now = this.#now();
    this.#settling.runOut(now);
    this.#backlog.wakeDue(now);
  }

  /** When `tick` or `takeDead` has something to do next, in ms; undefined when they have not. */
  get nextDue(): number | undefined {
    const lease = this.#leases.first?.endMs ?? Infinity;
    const { nextDue: later = Infinity } = this.#backlog;
    const { nextDue: letter = Infinity } = this.parts.burials;
    const next = Math.min(lease, later, letter);
    return next === Infinity ? undefined : next;
  }

  /** Events to be written to the dead letters; each then goes to `retire`, or back by `revive`. */
  takeDead(): readonly Entry[] {
    return this.parts.burials.take(this.#now());
  }

  /** The dead letter is durable (or the policy is to drop): only now is the source settled. */
  retire(entry: Entry, outcome: 'dead-lettered' | 'dropped'): void {
    const { counters } = entry.progress;
    if (outcome === 'dead-lettered') counters.deadLettered++;
    else counters.dropped++;
    this.parts.burials.end(entry);
    this.#backlog.remove(entry, this.#now());
  }

  /** The dead letter could not be written: the event is held, and given by `takeDead` again. */
  revive(entry: Entry, delayMs: number): void {
    this.parts.burials.postpone(entry, this.#now() + delayMs);
  }

  /**
   * Partitions whose cursor has moved, with what to write; marks them clean. Large cursors are
   * written less often, and left out unless `all` are asked for.
   */
  takeCursors(all: boolean): PartitionCursor[] {
    return this.parts.partitions.takeCursors(all, this.#now());
  }

  /** A cursor could not be written. */
  cursorFailed(partition: number): void {
    this.partition(partition).markDirty();
  }
}
