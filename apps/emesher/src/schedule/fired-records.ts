import { RecordEncoder, type EventView, type RecordView } from '@eventmesh/event';
import type { AppendReceipt, AppendRecord } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import { StoredBooks } from '../inspect/stored-books.ts';
import { parsePrincipal } from './principals.ts';
import type { TimerDeps } from './timer-owner.ts';

export interface FiringDeps extends Pick<TimerDeps, 'site' | 'ledger' | 'metrics' | 'journal'> {
  readonly directory: Pick<Directory, 'destinations'>;
}

/** A timer, or what was one, on its way into the tenant's events. */
export interface Fired {
  readonly record: RecordView;
  readonly view: EventView;
}

/**
 * Timers as records of the tenant's events: published by whoever scheduled them, for whoever wants
 * their topic now, and in the books from then on.
 */
export class FiredRecords {
  readonly #deps: FiringDeps;
  readonly #tenant: string;
  readonly #encoders = new Map<string, RecordEncoder>();

  /** Serves one append: who wants a topic is asked once. */
  constructor(deps: FiringDeps, tenant: string) {
    this.#deps = deps;
    this.#tenant = tenant;
  }

  /** An event that is in the store already is not stored again. */
  encode({ record, view }: Fired, timeUs: number, expiryMs = record.expiryMs): AppendRecord {
    const { key, traceparent, event } = record;
    const changes = { key, expiryMs, traceparent, hops: [], ingressTimeUs: timeUs };
    return {
      bytes: this.#encoder(record).encode(changes, event),
      dedupKey: `${view.source}\0${view.id}`,
    };
  }

  /** Brings what was stored into the books. */
  stored(partition: number, fired: readonly Fired[], timeUs: number, receipt: AppendReceipt): void {
    const { ledger, metrics, journal } = this.#deps;
    const tenant = this.#tenant;
    const timeMs = Math.floor(timeUs / 1000);
    const books = new StoredBooks(journal, { tenant, partition, timeMs }, receipt);
    for (const [index, { record, view }] of fired.entries()) {
      if (books.isDuplicate(index)) continue;
      books.enter(index, ledger.topic(tenant, record.topic), view);
    }
    metrics.timers.inc({ tenant, outcome: 'duplicate' }, books.duplicates);
  }

  /** The constant part of the records of one publisher on one topic, by the rules of now. */
  #encoder({ topic, principal, handling }: RecordView): RecordEncoder {
    const key = `${principal}\0${topic}\0${handling.grantsRevision}`;
    let encoder = this.#encoders.get(key);
    if (encoder === undefined) {
      encoder = new RecordEncoder({
        tenant: this.#tenant,
        topic,
        principal: parsePrincipal(principal).name,
        originSite: this.#deps.site,
        destinations: this.#deps.directory.destinations(this.#tenant, topic, 'durable'),
        handling: { ...handling, deliverAtMs: 0, latePolicy: 0 },
      });
      this.#encoders.set(key, encoder);
    }
    return encoder;
  }
}
