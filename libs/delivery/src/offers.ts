import type { RecordView } from '@eventmesh/event';
import type { Backlog } from './backlog.ts';
import { Entry, type OnEnded } from './entry.ts';
import type { KeyQueue } from './key-queue.ts';
import type { Parking } from './parking.ts';
import type { PartitionProgress } from './progress.ts';
import type { Settling } from './settling.ts';

export interface OfferParts {
  /** Milliseconds; wall clock. */
  readonly now: () => number;
  readonly backlog: Backlog;
  readonly settling: Settling;
  readonly parking: Parking;
  readonly onEnded: OnEnded;
}

/** What becomes of an event that is read: it is held, passed by, or over already. */
export class Offers {
  readonly #parts: OfferParts;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** Positions of a partition rise. */
  offer(progress: PartitionProgress, position: number, record: RecordView): void {
    if (position < progress.next) return;
    if (progress.wasSettled(position, record)) {
      progress.advance(position);
      return;
    }
    progress.counters.considered++;
    const key = this.#parts.backlog.keyOf(record);
    if (key?.parked?.progress === progress) {
      this.#parts.parking.passBy(key.parked, position);
      return;
    }
    progress.open(position);
    this.#hold(new Entry(progress, position, record, progress.notes.failures(position)), key);
  }

  /** Of positions that were passed, what parked keys want back. Answers where there was no room. */
  offerAgain(
    progress: PartitionProgress,
    from: number,
    upTo: number,
    records: Iterable<readonly [position: number, record: RecordView]>,
    matches: (record: RecordView) => boolean,
  ): number {
    const { parking } = this.#parts;
    for (const [position, record] of records) {
      if (parking.isFullOf('again')) {
        parking.lookedAgain(progress, from, position - 1);
        return position;
      }
      const parked = parking.wanting(progress, from, position, record);
      if (parked === undefined || !matches(record)) continue;
      const entry = parking.takeBack(parked, position, record);
      if (entry !== undefined) this.#hold(entry, parked.queue);
      parking.tookBack(parked);
    }
    parking.lookedAgain(progress, from, upTo);
    return upTo + 1;
  }

  /** An event that is open: it waits for its turn, unless its life has ended. */
  #hold(entry: Entry, key: KeyQueue | undefined): void {
    const { now, backlog, settling, onEnded } = this.#parts;
    const { progress, position, record } = entry;
    const nowMs = now();
    if (record.expiryMs === 0 || record.expiryMs > nowMs) {
      backlog.hold(entry);
      const dueMs = progress.notes.dueMs(position, nowMs);
      if (dueMs > nowMs) backlog.addLater(entry, key, dueMs, nowMs);
      else backlog.add(entry, key);
      return;
    }
    if (key !== undefined) {
      key.pass(position);
      backlog.drop(key);
    }
    if (settling.keepsExpired) {
      backlog.hold(entry);
      settling.buryExpired(entry);
      return;
    }
    progress.counters.expired++;
    progress.settle(position);
    onEnded(entry, 'expired');
  }
}
