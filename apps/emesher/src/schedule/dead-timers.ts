import type { Authorizer } from '@eventmesh/clients';
import { EventView, type RecordView } from '@eventmesh/event';
import { nowUs } from '../clock.ts';
import { partitionOf } from '../logs.ts';
import { FiredRecords, type FiringDeps } from './fired-records.ts';
import { Publishers } from './principals.ts';
import type { TimerDeps } from './timer-owner.ts';

export interface DeadTimersDeps extends FiringDeps, Pick<TimerDeps, 'store' | 'logs'> {
  readonly authorizer: Pick<Authorizer, 'sessionFor'>;
}

/** Tenants whose publishers' rights are held. */
const TENANTS_MAX = 1000;

/**
 * Scheduled events that died before they were published, on their second way: as they would have
 * been, had they come due now.
 */
export class DeadTimers {
  readonly #deps: DeadTimersDeps;
  readonly #publishers = new Map<string, Publishers>();

  constructor(deps: DeadTimersDeps) {
    this.#deps = deps;
  }

  /** Whether its publisher may publish it today. @throws MeshError Unavailable while acl cannot tell. */
  mayPublish({ tenant, principal, topic }: RecordView): Promise<boolean> {
    let publishers = this.#publishers.get(tenant);
    if (publishers === undefined) {
      publishers = new Publishers(this.#deps.authorizer, tenant);
      if (this.#publishers.size >= TENANTS_MAX) this.#publishers.clear();
      this.#publishers.set(tenant, publishers);
    }
    return publishers.mayPublish(principal, topic);
  }

  /**
   * Resolves when they are durable. One that the store has already, because this was done before a
   * crash or it was published in another way, is not stored again. An expiry is taken off, or the
   * event would end at once.
   */
  async publish(tenant: string, records: readonly RecordView[]): Promise<void> {
    if (records.length === 0) return;
    const { store, logs } = this.#deps;
    const { partitions } = await logs.ensure(tenant);
    const groups = Map.groupBy(records, ({ topic, key }) =>
      partitionOf(topic, key, partitions.length),
    );
    const encoder = new FiredRecords(this.#deps, tenant);
    for (const [partition, group] of groups) {
      const timeUs = nowUs();
      const fired = group.map((record) => ({ record, view: new EventView(record.event) }));
      const receipt = await store.append({
        log: logs.name(tenant),
        partition,
        records: fired.map((each) => encoder.encode(each, timeUs, 0)),
      });
      encoder.stored(partition, fired, timeUs, receipt);
    }
  }
}
