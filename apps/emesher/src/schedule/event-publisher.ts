import { EventView, encodeRecord, type RecordView } from '@eventmesh/event';
import { nowUs } from '../clock.ts';
import { FiredRecords, type Fired } from './fired-records.ts';
import type { OpenFiring } from './timer-book.ts';
import type { TimerDeps } from './timer-owner.ts';

/** Numbers the firings in each partition of the tenant's events. */
export const FIRING_PRODUCER = 'timers';

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
      published.set(partition, await deps.store.producerSequence(log, partition, FIRING_PRODUCER));
    }
    return new EventPublisher(deps, tenant, published);
  }

  readonly publishedUpTo = (partition: number): number => this.#published.get(partition) ?? 0;

  /** @throws MeshError Aborted when another emesher fires these timers. */
  async publish(firing: OpenFiring, timers: ReadonlyMap<number, RecordView>): Promise<void> {
    const { store, logs } = this.#deps;
    const { partition, positions, sequence } = firing;
    const fired: Fired[] = [];
    for (const position of positions) {
      const record = timers.get(position);
      if (record !== undefined) fired.push({ record, view: new EventView(record.event) });
    }
    const encoder = new FiredRecords(this.#deps, this.#tenant);
    const timeUs = nowUs();
    const receipt = await store.append({
      log: logs.name(this.#tenant),
      partition,
      records: fired.map((each) => encoder.encode(each, timeUs)),
      producer: { id: FIRING_PRODUCER, previous: this.publishedUpTo(partition), last: sequence },
    });
    this.#published.set(partition, sequence);
    encoder.stored(partition, fired, timeUs, receipt);
  }

  /** A timer as it is, to be stored at the end of the log. */
  again(record: RecordView): Buffer {
    return encodeRecord(record, record.event);
  }
}
