import { EventView, RecordEncoder, encodeRecord, type RecordView } from '@eventmesh/event';
import { nowUs } from '../clock.ts';
import { parsePrincipal } from './principals.ts';
import type { OpenFiring } from './timer-book.ts';
import type { TimerDeps } from './timer-owner.ts';

/** Numbers the firings in each partition of the tenant's events. */
const PRODUCER = 'timers';

/**
 * Puts fired timers into the tenant's events, each decision once: the store keeps the number of the
 * last decision together with its records. They go where the topic is wanted now.
 */
export class EventPublisher {
  readonly #deps: TimerDeps;
  readonly #tenant: string;
  /** The last decision in each partition. */
  readonly #published: Map<number, number>;

  private constructor(deps: TimerDeps, tenant: string, published: Map<number, number>) {
    this.#deps = deps;
    this.#tenant = tenant;
    this.#published = published;
  }

  static async open(deps: TimerDeps, tenant: string): Promise<EventPublisher> {
    const { partitions } = await deps.logs.ensure(tenant);
    const published = new Map<number, number>();
    for (const { partition } of partitions) {
      const log = deps.logs.name(tenant);
      published.set(partition, await deps.store.producerSequence(log, partition, PRODUCER));
    }
    return new EventPublisher(deps, tenant, published);
  }

  readonly publishedUpTo = (partition: number): number => this.#published.get(partition) ?? 0;

  /** @throws MeshError Aborted when another emesher fires these timers. */
  async publish(firing: OpenFiring, timers: ReadonlyMap<number, RecordView>): Promise<void> {
    const { store, logs, ledger, journal } = this.#deps;
    const { partition, positions, sequence } = firing;
    const events: { record: RecordView; view: EventView }[] = [];
    for (const position of positions) {
      const record = timers.get(position);
      if (record !== undefined) events.push({ record, view: new EventView(record.event) });
    }
    const encoders = new Map<string, RecordEncoder>();
    const timeUs = nowUs();
    const { positions: stored, duplicates } = await store.append({
      log: logs.name(this.#tenant),
      partition,
      records: events.map(({ record, view }) => ({
        bytes: this.#encoder(record, encoders).encode(
          { ...changesOf(record), ingressTimeUs: timeUs },
          record.event,
        ),
        dedupKey: `${view.source}\0${view.id}`,
      })),
      producer: { id: PRODUCER, previous: this.publishedUpTo(partition), last: sequence },
    });
    this.#published.set(partition, sequence);
    const again = new Set(duplicates);
    for (const [index, { record, view }] of events.entries()) {
      if (again.has(index)) continue;
      const position = stored[index] ?? 0;
      const count = ledger.topic(this.#tenant, record.topic);
      count.events++;
      count.lastTimeMs = Math.floor(timeUs / 1000);
      journal.stored(this.#tenant, partition, position, view, record.topic);
    }
    ledger.metrics.timers.inc({ tenant: this.#tenant, outcome: 'duplicate' }, duplicates.length);
  }

  /** A timer as it is, to be stored at the end of the log. */
  again(record: RecordView): Buffer {
    return encodeRecord(record, record.event);
  }

  /** The constant part of the records of one publisher on one topic, by the rules of now. */
  #encoder(record: RecordView, known: Map<string, RecordEncoder>): RecordEncoder {
    const { topic, principal, handling } = record;
    const key = `${principal}\0${topic}\0${handling.grantsRevision}`;
    let encoder = known.get(key);
    if (encoder === undefined) {
      encoder = new RecordEncoder({
        tenant: this.#tenant,
        topic,
        principal: parsePrincipal(principal).name,
        originSite: this.#deps.site,
        destinations: this.#deps.directory.destinations(this.#tenant, topic, 'durable'),
        handling: { ...handling, deliverAtMs: 0, latePolicy: 0 },
      });
      known.set(key, encoder);
    }
    return encoder;
  }
}

const changesOf = ({ key, expiryMs, traceparent }: RecordView) => ({
  key,
  expiryMs,
  traceparent,
  hops: [],
});
