import type { PublishItem, PublishOptions, Receipt } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import type { Ledger } from '../inspect/ledger.ts';
import { partitionOf, type Logs } from '../logs.ts';
import type { Timers } from '../schedule/timers.ts';
import type { CallerSession } from '../session.ts';
import { admit, type AdmitDeps } from './admit.ts';
import { Appender, type AppenderDeps } from './append.ts';
import { atomicProblem, endSpans, groupOf, openCall, placesOf, type Call } from './call.ts';
import type { DirectPublisher } from './direct.ts';
import { checkProducer, checkSequence } from './producer-lanes.ts';
import { recordOf, type RecordDeps } from './record.ts';

export interface PublisherDeps extends AdmitDeps, RecordDeps, AppenderDeps {
  readonly logs: Logs;
  readonly timers: () => Pick<Timers, 'name' | 'ensure' | 'takePlace' | 'room' | 'append'>;
  readonly direct: DirectPublisher;
  readonly ledger: Ledger;
}

/**
 * admit → resolve → record → append → receipt, each a file here. Events of one call keep their order;
 * calls of one caller are appended in call order. Nothing is answered before the store's receipt.
 * Events that are to be published later take the same way into the log of timers.
 */
export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #appender: Appender;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
    this.#appender = new Appender(deps);
  }

  /** @throws MeshError InvalidArgument for a producer that is none. */
  async publish(
    session: CallerSession,
    items: readonly PublishItem[],
    options: PublishOptions = {},
  ): Promise<(Receipt | MeshError)[]> {
    if (options.producer !== undefined) checkProducer(options.producer);
    const { tenant } = session.principal;
    const partitions = this.#deps.logs.partitions(tenant);
    // Nothing waits here that would keep the items while their records are being stored.
    if (partitions !== undefined) return this.#publish(session, items, options, partitions);
    const info = await this.#deps.logs.ensure(tenant);
    return this.#publish(session, items, options, info.partitions.length);
  }

  #publish(
    session: CallerSession,
    items: readonly PublishItem[],
    { atomic = false, producer }: PublishOptions,
    partitions: number,
  ): Promise<(Receipt | MeshError)[]> {
    const call = openCall(session, producer, items.length, partitions);
    let place = 0;
    for (const item of items) this.#gate(call, place++, item, atomic);
    const problem = atomic ? atomicProblem(call) : undefined;
    if (problem === undefined) return this.#store(call);
    this.#appender.giveBack(call, placesOf(call));
    for (const group of call.groups.values()) endSpans(group);
    return Promise.resolve(items.map(() => problem));
  }

  /** Checks an event, hands a direct one over, and encodes any other into a record. */
  #gate(call: Call, place: number, item: PublishItem, atomic: boolean): void {
    const { session, outcomes, producer } = call;
    try {
      const admitted = admit(this.#deps, session, item, producer !== undefined);
      if (admitted.direct) {
        if (atomic) throw invalid('atomic', 'events of the direct class are not stored');
        outcomes[place] = this.#deps.direct.publish(session, admitted, call.timeUs);
        return;
      }
      if (producer !== undefined) checkSequence(item.sequence ?? 0);
      const group = groupOf(this.#deps, call, admitted);
      const record = recordOf(this.#deps, call, admitted, group.spans);
      if (admitted.deliverAtMs !== 0) {
        this.#deps.timers().takePlace(session.principal.tenant);
        group.homes.push(partitionOf(admitted.resolved.topic, admitted.key, call.partitions));
      }
      group.records.push(record);
      const { event, resolved, deliverAtMs } = admitted;
      const { id, source, bytes } = event;
      group.events.push({ place, id, source, bytes: bytes.length, resolved, deliverAtMs });
      if (producer !== undefined) group.sequences.push(item.sequence ?? 0);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      outcomes[place] = error;
      this.#deps.ledger.refused(session, item.topic, item.event, error);
    }
  }

  async #store(call: Call): Promise<(Receipt | MeshError)[]> {
    const appends: Promise<void>[] = [];
    for (const group of call.groups.values()) {
      // None when there was no room for those that were for later.
      if (group.records.length > 0) appends.push(this.#appender.append(call, group));
      else endSpans(group);
    }
    await Promise.all(appends);
    return call.outcomes;
  }
}
