import { MeshError } from '@eventmesh/errors';
import type { AppendReceipt, EventStore } from '@eventmesh/store-api';
import type { Timers } from '../schedule/timers.ts';
import { APPEND_MAX, endSpans, type Call, type Group } from './call.ts';
import { ProducerLanes } from './producer-lanes.ts';
import { takeReceipt, type ReceiptDeps } from './receipt.ts';

export interface AppenderDeps extends ReceiptDeps {
  readonly store: EventStore;
  readonly timers: () => Pick<Timers, 'ensure' | 'append' | 'room'>;
}

/** Hands the events of a call over to the store, a group at a time. */
export class Appender {
  readonly #deps: AppenderDeps;
  readonly #lanes = new ProducerLanes();

  constructor(deps: AppenderDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves once the store has answered for each event of the group, whose outcomes are in the call
   * then. All are handed over before this returns, but for those that are for later.
   */
  async append(call: Call, group: Group): Promise<void> {
    const { ledger } = this.#deps;
    // All parts are handed over in this turn, so that the store keeps their order.
    const parts: Promise<void>[] = [];
    for (let from = 0; from < group.records.length; from += APPEND_MAX) {
      parts.push(
        this.#part(call, group, from).then(
          (receipt) => takeReceipt(this.#deps, call, group, from, receipt),
          (thrown: unknown) => this.#refused(call, group, from, MeshError.from(thrown)),
        ),
      );
    }
    group.records = [];
    await Promise.all(parts);
    endSpans(group);
    ledger.publishTime('durable', (performance.now() - call.started) / 1000);
  }

  /** So many events that took the place of a timer do not come into its log. */
  giveBack({ session }: Call, places: number): void {
    if (places > 0) this.#deps.timers().room(session.principal.tenant).give(places);
  }

  #part(
    { producer, session: { principal } }: Call,
    group: Group,
    from: number,
  ): Promise<AppendReceipt> {
    const { store } = this.#deps;
    const { log, partition, homes } = group;
    const records = group.records.slice(from, from + APPEND_MAX);
    if (producer !== undefined) {
      const sequences = group.sequences.slice(from, from + APPEND_MAX);
      const session = { id: producer.id, epoch: producer.epoch, sequences };
      return this.#lanes.append(producer, `${log}/${partition}`, async () => {
        if (homes.length > 0) await this.#deps.timers().ensure(principal.tenant);
        return store.append({ log, partition, records, session });
      });
    }
    if (homes.length === 0) return store.append({ log, partition, records });
    const timers = records.map((record, at) => ({ ...record, partition: homes[from + at] ?? 0 }));
    return this.#later(principal.tenant, timers);
  }

  /** The log of timers is made when the first event of a tenant is for later. */
  async #later(tenant: string, timers: Parameters<Timers['append']>[1]): Promise<AppendReceipt> {
    await this.#deps.timers().ensure(tenant);
    return this.#deps.timers().append(tenant, timers);
  }

  #refused(call: Call, group: Group, from: number, error: MeshError): void {
    const events = group.events.slice(from, from + APPEND_MAX);
    for (const { place } of events) call.outcomes[place] = error;
    if (group.homes.length > 0) this.giveBack(call, events.length);
    this.#deps.ledger.storeRefused(call.session.principal.tenant, events.length, error);
  }
}
