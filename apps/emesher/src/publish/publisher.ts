import type { Producer, PublishItem, PublishOptions, Receipt } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { encodeRecord } from '@eventmesh/event';
import type { AppendReceipt, AppendRecord, EventStore } from '@eventmesh/store-api';
import type { Tracing } from '@eventmesh/telemetry';
import { nowUs } from '../clock.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Journal } from '../inspect/journal.ts';
import { partitionOf, type Logs } from '../logs.ts';
import { principalText } from '../schedule/principals.ts';
import type { Timers } from '../schedule/timers.ts';
import type { CallerSession } from '../session.ts';
import { admit, type AdmitDeps, type Admitted } from './admit.ts';
import type { DirectSwitch } from './direct.ts';
import { ProducerLanes, checkProducer, checkSequence } from './producer-lanes.ts';
import { startPublishSpan, tracedBytes, type PublishSpan } from './spans.ts';

export interface PublisherDeps extends AdmitDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly timers: () => Pick<Timers, 'name' | 'ready' | 'ensure' | 'checkRoom'>;
  readonly direct: DirectSwitch;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly tracing: Tracing;
}

/** Events of one partition on their way to the store, with their places in the answer. */
interface Group {
  readonly log: string;
  readonly partition: number;
  readonly records: AppendRecord[];
  readonly admitted: Admitted[];
  readonly places: number[];
  /** Numbers by a producer; empty without one. */
  readonly sequences: number[];
  /** Open until the store has answered; empty while nothing is traced. */
  readonly spans: PublishSpan[];
}

/** What one call publishes. */
interface Call {
  readonly session: CallerSession;
  readonly producer: Producer | undefined;
  readonly partitions: number;
  readonly timeUs: number;
  readonly started: number;
  readonly outcomes: (Receipt | MeshError)[];
  /** By partition, or `TIMERS`. */
  readonly groups: Map<number, Group>;
}

/** The group of events that are for later. */
const TIMERS = -1;

/** Most records of one append. */
const APPEND_MAX = 1000;

/**
 * admit → resolve → append → receipt. Events of one call keep their order; calls of one caller are
 * appended in call order. Nothing is answered before the store's receipt. Events that are to be
 * published later take the same way into the log of timers.
 */
export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #lanes = new ProducerLanes();

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** @throws MeshError InvalidArgument for a producer that is none. */
  async publish(
    session: CallerSession,
    items: readonly PublishItem[],
    { atomic = false, producer }: PublishOptions = {},
  ): Promise<(Receipt | MeshError)[]> {
    const started = performance.now();
    if (producer !== undefined) checkProducer(producer);
    const { tenant } = session.principal;
    const outcomes = new Array<Receipt | MeshError>(items.length);
    const partitions = this.#deps.logs.partitions(tenant) ?? (await this.#openLog(tenant));
    const call: Call = {
      session,
      producer,
      partitions,
      started,
      outcomes,
      timeUs: nowUs(),
      groups: new Map(),
    };
    for (const [place, item] of items.entries()) this.#gate(call, place, item, atomic);
    const problem = atomic ? this.#atomicProblem(call) : undefined;
    if (problem !== undefined) return items.map(() => problem);
    await Promise.all([...call.groups.values()].map((group) => this.#append(call, group)));
    return outcomes;
  }

  async #openLog(tenant: string): Promise<number> {
    const info = await this.#deps.logs.ensure(tenant);
    return info.partitions.length;
  }

  /** Checks an event, hands a direct one over, and encodes any other into a record. */
  #gate(call: Call, place: number, item: PublishItem, atomic: boolean): void {
    const { session, outcomes, producer } = call;
    try {
      const admitted = admit(this.#deps, session, item);
      if (admitted.direct) {
        if (atomic) throw invalid('atomic', 'events of the direct class are not stored');
        outcomes[place] = this.#deps.direct.publish(session, admitted, call.timeUs);
        return;
      }
      if (producer !== undefined) checkSequence(item.sequence ?? 0);
      const group = this.#group(call, admitted);
      group.records.push(this.#record(call, admitted, group.spans));
      group.admitted.push(admitted);
      group.places.push(place);
      if (producer !== undefined) group.sequences.push(item.sequence ?? 0);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      outcomes[place] = error;
      this.#deps.ledger.refused(session.principal, item.topic, item.event, error);
    }
  }

  #group({ groups, session, partitions }: Call, admitted: Admitted): Group {
    const { tenant } = session.principal;
    const later = admitted.deliverAtMs !== 0;
    if (later) this.#deps.timers().checkRoom(tenant);
    const where = later ? TIMERS : partitionOf(admitted.resolved.topic, admitted.key, partitions);
    let group = groups.get(where);
    if (group === undefined) {
      const log = later ? this.#deps.timers().name(tenant) : this.#deps.logs.name(tenant);
      const lists = { records: [], admitted: [], places: [], sequences: [], spans: [] };
      group = { log, partition: later ? 0 : where, ...lists };
      groups.set(where, group);
    }
    return group;
  }

  #record({ session, timeUs }: Call, admitted: Admitted, spans: PublishSpan[]): AppendRecord {
    const { site, tracing } = this.#deps;
    const { tenant } = session.principal;
    const span = tracing.enabled ? startPublishSpan(tracing, site, tenant, admitted) : undefined;
    if (span !== undefined) spans.push(span);
    const { key, expiryMs, dedupKey, deliverAtMs, latePolicy, resolved } = admitted;
    const traceparent = span?.traceparent ?? admitted.traceparent;
    const changes = { key, ingressTimeUs: timeUs, expiryMs, traceparent, hops: [] };
    const event = tracedBytes(admitted, traceparent);
    if (deliverAtMs === 0) return { bytes: resolved.encoder.encode(changes, event), dedupKey };
    const head = {
      ...changes,
      tenant,
      topic: resolved.topic,
      principal: principalText(session.principal),
      originSite: site,
      // Where it goes is worked out when it is published.
      destinations: [],
      handling: { ...resolved.handling, deliverAtMs, latePolicy },
    };
    return { bytes: encodeRecord(head, event), dedupKey };
  }

  #atomicProblem({ groups, outcomes }: Call): MeshError | undefined {
    const refused = outcomes.find((outcome) => outcome instanceof MeshError);
    if (refused instanceof MeshError) {
      return new MeshError(
        refused.code,
        `the atomic batch is refused as a whole: ${refused.message}`,
        refused.details,
      );
    }
    const [only] = groups.values();
    const limit = `1 partition, ${APPEND_MAX} events`;
    if (groups.size > 1) {
      return invalid(
        'atomic',
        groups.has(TIMERS)
          ? 'some events are for later and some for now'
          : `the events fall into ${groups.size} partitions; give them one topic and partitionkey`,
        { reason: 'ATOMIC_ACROSS_PARTITIONS', limit },
      );
    }
    const count = only?.records.length ?? 0;
    if (count <= APPEND_MAX) return undefined;
    return invalid('atomic', `there are ${count} events`, { reason: 'ATOMIC_TOO_LARGE', limit });
  }

  async #append(call: Call, group: Group): Promise<void> {
    const { ledger } = this.#deps;
    const timers = this.#deps.timers();
    const { tenant } = call.session.principal;
    if (group.log === timers.name(tenant) && !timers.ready(tenant)) await timers.ensure(tenant);
    // All parts are handed over in this turn, so that the store keeps their order.
    const parts: Promise<void>[] = [];
    for (let from = 0; from < group.records.length; from += APPEND_MAX) {
      const part = this.#appendPart(call.producer, group, from);
      parts.push(
        part.then(
          (receipt) => this.#receipts(call, group, from, receipt),
          (thrown: unknown) => {
            const error = MeshError.from(thrown);
            const places = group.places.slice(from, from + APPEND_MAX);
            for (const place of places) call.outcomes[place] = error;
            ledger.storeRefused(tenant, places.length, error);
          },
        ),
      );
    }
    await Promise.all(parts);
    for (const span of group.spans) span.end();
    ledger.publishTime('durable', (performance.now() - call.started) / 1000);
  }

  #appendPart(producer: Producer | undefined, group: Group, from: number): Promise<AppendReceipt> {
    const { store } = this.#deps;
    const { log, partition } = group;
    const records = group.records.slice(from, from + APPEND_MAX);
    if (producer === undefined) return store.append({ log, partition, records });
    const sequences = group.sequences.slice(from, from + APPEND_MAX);
    const session = { id: producer.id, epoch: producer.epoch, sequences };
    return this.#lanes.append(producer, `${log}/${partition}`, () =>
      store.append({ log, partition, records, session }),
    );
  }

  #receipts(call: Call, group: Group, from: number, receipt: AppendReceipt): void {
    const { site, ledger, journal } = this.#deps;
    const { tenant } = call.session.principal;
    const { partition } = group;
    const duplicates = receipt.duplicates.length === 0 ? undefined : new Set(receipt.duplicates);
    const timeMs = Date.now();
    let bytes = 0;
    for (const [i, position] of receipt.positions.entries()) {
      const admitted = group.admitted[from + i];
      const place = group.places[from + i];
      if (admitted === undefined || place === undefined) continue;
      const duplicate = duplicates?.has(i) ?? false;
      const { resolved, deliverAtMs } = admitted;
      call.outcomes[place] = {
        site,
        partition,
        position,
        duplicate,
        durability: receipt.durability,
        noInterest: !resolved.wanted.durable,
        destinations: resolved.destinations,
        // A duplicate comes when the first one is due, and that may be another time.
        ...(deliverAtMs === 0 || duplicate ? {} : { deliverAtMs }),
      };
      if (duplicate) continue;
      bytes += admitted.event.bytes.length;
      // A scheduled event comes into the books of its topic when it is published.
      if (deliverAtMs !== 0) continue;
      const { topic, count } = resolved;
      count.events++;
      count.lastTimeMs = timeMs;
      journal.stored(tenant, partition, position, admitted.event, topic);
    }
    const count = receipt.positions.length - receipt.duplicates.length;
    ledger.accepted(tenant, 'durable', count, bytes);
    ledger.duplicates(tenant, receipt.duplicates.length);
  }
}
