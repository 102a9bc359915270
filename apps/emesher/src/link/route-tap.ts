import type { RecordView } from '@eventmesh/event';
import type { Tap } from '../follow/tap.ts';
import type { LaneBooks } from './link-books.ts';
import type { Passed } from './passed.ts';

/** A record that has to go over the link. */
export interface Outgoing {
  readonly position: number;
  readonly record: RecordView;
  /** Destinations behind the link. */
  readonly destinations: readonly string[];
}

/** Everything of one partition since the last frame. */
export interface Gathered {
  readonly records: readonly Outgoing[];
  readonly bytes: number;
  readonly upTo: number;
}

/**
 * What has to go over a link from one partition: records with a destination whose next hop is the
 * neighbour. Gathers them until the sender takes them; while the window is full, reading pauses and
 * the store keeps the rest.
 */
export class RouteTap implements Tap {
  readonly topicFilters = undefined;
  readonly passed: Passed;
  readonly #hop: (position: number, site: string) => string | undefined;
  readonly #neighbour: string;
  readonly #woken: () => void;
  readonly #books: LaneBooks;
  readonly #bytesMax: number;
  #records: Outgoing[] = [];
  #bytes = 0;
  #upTo = 0;
  #taken = 0;

  constructor(
    neighbour: string,
    hop: (position: number, site: string) => string | undefined,
    bytesMax: number,
    books: LaneBooks,
    woken: () => void,
    passed: Passed,
  ) {
    this.#neighbour = neighbour;
    this.#hop = hop;
    this.#bytesMax = bytesMax;
    this.#books = books;
    this.#woken = woken;
    this.passed = passed;
  }

  /** Bytes that have gathered. */
  get bytes(): number {
    return this.#bytes;
  }

  get hungry(): boolean {
    return this.ready;
  }

  get ready(): boolean {
    return this.#bytes < this.#bytesMax;
  }

  boundary(): number {
    return 0;
  }

  offer(_partition: number, position: number, record: RecordView): boolean {
    const destinations = record.destinations.filter(
      (site) => this.#hop(position, site) === this.#neighbour,
    );
    this.#books.looked(position, destinations.length > 0);
    const goes = destinations.length > 0;
    this.passed.looked(position, record.ingressTimeUs, goes ? [] : record.destinations);
    if (!goes) return false;
    this.#records.push({ position, record, destinations });
    this.#bytes += record.event.length + 256;
    return true;
  }

  advance(_partition: number, upTo: number): void {
    this.#upTo = Math.max(this.#upTo, upTo);
    this.#woken();
  }

  gap(_partition: number, from: number, to: number): void {
    this.#books.gone(from, to);
    this.#upTo = Math.max(this.#upTo, to);
  }

  get hasRecords(): boolean {
    return this.#records.length > 0;
  }

  /** Takes what has gathered, at most `bytes` of it; undefined when there is nothing new. */
  take(bytes: number): Gathered | undefined {
    if (this.#records.length === 0 && this.#upTo === this.#taken) return undefined;
    let count = 0;
    let size = 0;
    while (count < this.#records.length && (count === 0 || size < bytes)) {
      size += (this.#records[count]?.record.event.length ?? 0) + 256;
      count++;
    }
    const records = this.#records.slice(0, count);
    this.#records = this.#records.slice(count);
    this.#bytes -= size;
    // A part ends at its own last record; only the last part has seen everything.
    const upTo = this.#records.length === 0 ? this.#upTo : (records.at(-1)?.position ?? this.#upTo);
    this.#taken = upTo;
    return { records, bytes: size, upTo };
  }
}
