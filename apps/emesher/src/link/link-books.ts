import type { EmesherMetrics } from '../metrics.ts';

type LinkMetrics = Pick<
  EmesherMetrics,
  | 'linkRead'
  | 'linkTaken'
  | 'linkFiltered'
  | 'linkDelivered'
  | 'linkExpired'
  | 'linkHeld'
  | 'linkUnkept'
>;

/**
 * The books of the link to one neighbour: taken = delivered + expired + held. They outlive the
 * connections of the link: what is read again after a break, since the neighbour had not accepted
 * it, is not counted again. What was passed by is not counted again after a restart, either, as far
 * as the neighbour has kept it.
 */
export class LinkBooks {
  readonly #to: string;
  readonly #metrics: LinkMetrics;
  readonly #lanes = new Map<string, LaneBooks>();

  constructor(to: string, metrics: LinkMetrics) {
    this.#to = to;
    this.#metrics = metrics;
  }

  /** The books of one partition of one tenant. */
  lane(tenant: string, partition: number): LaneBooks {
    const key = `${tenant}/${partition}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new LaneBooks();
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** Another emesher of the site has the link now, and holds what was held here. */
  handOver(): void {
    for (const lane of this.#lanes.values()) lane.forget();
    this.tell();
  }

  /** Brings the metrics up to the lanes. */
  tell(): void {
    let held = 0;
    let unkept = 0;
    for (const lane of this.#lanes.values()) {
      held += lane.held;
      unkept += lane.unkept;
      const { read, taken, filtered, delivered, expired } = lane.takeCounts();
      const labels = { to: this.#to };
      if (read > 0) this.#metrics.linkRead.inc(labels, read);
      if (taken > 0) this.#metrics.linkTaken.inc(labels, taken);
      if (filtered > 0) this.#metrics.linkFiltered.inc(labels, filtered);
      if (delivered > 0) this.#metrics.linkDelivered.inc(labels, delivered);
      if (expired > 0) this.#metrics.linkExpired.inc(labels, expired);
    }
    this.#metrics.linkHeld.set({ to: this.#to }, held);
    this.#metrics.linkUnkept.set({ to: this.#to }, unkept);
  }
}

interface LinkCounts {
  read: number;
  taken: number;
  filtered: number;
  delivered: number;
  expired: number;
}

const nothing = (): LinkCounts => ({
  read: 0,
  taken: 0,
  filtered: 0,
  delivered: 0,
  expired: 0,
});

/**
 * One lane: which positions are on their way. Positions come in rising order, also after a break;
 * what is held is bounded by the link's window and what the tap gathers.
 */
export class LaneBooks {
  /** Rising, since positions are only ever added above all others. */
  readonly #held = new Set<number>();
  /** Everything up to here was counted when it goes over the link. */
  #takenUpTo = 0;
  /** Everything up to here was counted when it does not. */
  #filteredUpTo = 0;
  /** The last record looked at. */
  #readUpTo = 0;
  /** The neighbour has what goes over the link up to here, and keeps that the rest does not. */
  #keptUpTo = 0;
  #counts = nothing();

  get held(): number {
    return this.#held.size;
  }

  /** Positions looked at that are read again after a restart. */
  get unkept(): number {
    return Math.max(0, this.#readUpTo - this.#keptUpTo);
  }

  /**
   * Reading begins: the neighbour has everything up to `last`, and keeps that nothing else up to
   * `passedUpTo` goes over the link. Answers what it turns out to have: its word of that was lost
   * with the last connection.
   */
  started(last: number, passedUpTo: number): readonly number[] {
    const taken = [...this.#held].filter((position) => position <= last);
    this.delivered(last);
    this.#filteredUpTo = Math.max(this.#filteredUpTo, passedUpTo);
    this.#keptUpTo = Math.max(last, passedUpTo);
    this.#readUpTo = this.#keptUpTo;
    return taken;
  }

  /** The neighbour keeps, durably, that nothing else up to here goes over the link. */
  kept(upTo: number): void {
    this.#keptUpTo = Math.max(this.#keptUpTo, upTo);
  }

  /** A record was looked at: it goes over the link, or it does not. */
  looked(position: number, goes: boolean): void {
    this.#readUpTo = position;
    this.#counts.read++;
    if (goes && position > this.#takenUpTo) {
      this.#held.add(position);
      this.#counts.taken++;
    }
    if (!goes && position > this.#filteredUpTo) this.#counts.filtered++;
    this.#takenUpTo = Math.max(this.#takenUpTo, position);
    this.#filteredUpTo = Math.max(this.#filteredUpTo, position);
  }

  /** Positions that are no longer in the store, before the neighbour had them. */
  gone(from: number, to: number): void {
    for (const position of this.#held) {
      if (position >= from && position <= to) this.expired(position);
    }
  }

  /** Its life ended before it was sent. */
  expired(position: number): void {
    if (this.#held.delete(position)) this.#counts.expired++;
  }

  /** The neighbour has everything up to here. */
  delivered(upTo: number): void {
    this.#keptUpTo = Math.max(this.#keptUpTo, upTo);
    for (const position of this.#held) {
      if (position > upTo) return;
      this.#held.delete(position);
      this.#counts.delivered++;
    }
  }

  /** Whether a position is on its way. */
  holds(position: number): boolean {
    return this.#held.has(position);
  }

  forget(): void {
    this.#held.clear();
    this.#keptUpTo = this.#readUpTo;
  }

  /** What was counted since the last call. */
  takeCounts(): LinkCounts {
    const counts = this.#counts;
    this.#counts = nothing();
    return counts;
  }
}
