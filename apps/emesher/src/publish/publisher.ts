import type { Producer, PublishItem, PublishOptions, Receipt } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { atomicFault, encodeRecord } from '@eventmesh/event';
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
import type { DirectPublisher } from './direct.ts';
import type { ResolvedTopic } from './resolve.ts';
import { ProducerLanes, checkProducer, checkSequence } from './producer-lanes.ts';
import { startPublishSpan, tracedBytes, type PublishSpan } from './spans.ts';

export interface PublisherDeps extends AdmitDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly timers: () => Pick<
    Timers,
    'name' | 'ready' | 'ensure' | 'takePlace' | 'room' | 'append'
  >;
  readonly direct: DirectPublisher;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly tracing: Tracing;
}

/**
 * Events of one partition on their way to the store. Many are, for as long as a commit takes: of each
 * it keeps no more than the receipt and the books need.
 */
interface Group {
  readonly log: string;
  readonly partition: number;
  /** Where those go that are for later, when they are due; empty for others. */
  readonly homes: number[];
  /** Until they are handed over. */
  records: AppendRecord[];
  readonly events: Sent[];
  /** Numbers by a producer; empty without one. */
  readonly sequences: number[];
  /** Open until the store has answered; empty while nothing is traced. */
  readonly spans: PublishSpan[];
}

/** An event that is on its way to the store. */
interface Sent {
  /** In the call, and so in its answer. */
  readonly place: number;
  readonly id: string;
  readonly source: string;
  readonly bytes: number;
  readonly resolved: ResolvedTopic;
  readonly deliverAtMs: number;
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
    const call: Call = {
      session,
      producer,
      partitions,
      started: performance.now(),
      outcomes: new Array<Receipt | MeshError>(items.length),
      timeUs: nowUs(),
      groups: new Map(),
    };
    let place = 0;
    for (const item of items) this.#gate(call, place++, item, atomic);
    const problem = atomic ? this.#atomicProblem(call) : undefined;
    if (problem === undefined) return this.#store(call);
    this.#giveBack(call, call.groups.get(TIMERS)?.homes.length ?? 0);
    return Promise.resolve(items.map(() => problem));
  }

  async #store(call: Call): Promise<(Receipt | MeshError)[]> {
    const appends: Promise<void>[] = [];
    for (const group of call.groups.values()) {
      // None when there was no room for those that were for later.
      if (group.records.length > 0) appends.push(this.#append(call, group));
      else for (const span of group.spans) span.end();
    }
    await Promise.all(appends);
    return call.outcomes;
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
      const group = this.#group(call, admitted);
      const record = this.#record(call, admitted, group.spans);
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

  #group({ groups, session, partitions }: Call, admitted: Admitted): Group {
    const { tenant } = session.principal;
    const later = admitted.deliverAtMs !== 0;
    const where = later ? TIMERS : partitionOf(admitted.resolved.topic, admitted.key, partitions);
    let group = groups.get(where);
    if (group === undefined) {
      const log = later ? this.#deps.timers().name(tenant) : this.#deps.logs.name(tenant);
      const lists = { homes: [], records: [], events: [], sequences: [], spans: [] };
      group = { log, partition: later ? 0 : where, ...lists };
      groups.set(where, group);
    }
    return group;
  }

  #record(
    { session, producer, timeUs }: Call,
    admitted: Admitted,
    spans: PublishSpan[],
  ): AppendRecord {
    const { site, tracing } = this.#deps;
    const { tenant } = session.principal;
    const span = tracing.enabled ? startPublishSpan(tracing, site, tenant, admitted) : undefined;
    if (span !== undefined) spans.push(span);
    const { key, expiryMs, dedupKey, deliverAtMs, latePolicy, resolved } = admitted;
    const traceparent = span?.traceparent ?? admitted.traceparent;
    const changes = { key, ingressTimeUs: timeUs, expiryMs, traceparent, hops: [] };
    const event = tracedBytes(admitted, traceparent);
    if (deliverAtMs === 0)
      return { bytes: resolved.encoders.durable.encode(changes, event), dedupKey };
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
    const bytes = encodeRecord(head, event);
    // A producer's numbers alone tell what was stored before: that an event of this id waits, or was
    // taken back, is nothing to them.
    return producer === undefined ? { bytes, dedupKey } : { bytes };
  }

  #atomicProblem({ groups, outcomes }: Call): MeshError | undefined {
    const fault = atomicFault(outcomes);
    if (fault !== undefined) return fault;
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
    const { tenant } = call.session.principal;
    if (group.homes.length > 0) await this.#ready(call, group);
    // All parts are handed over in this turn, so that the store keeps their order.
    const parts: Promise<void>[] = [];
    for (let from = 0; from < group.records.length; from += APPEND_MAX) {
      const part = this.#appendPart(call, group, from);
      parts.push(
        part.then(
          (receipt) => this.#receipts(call, group, from, receipt),
          (thrown: unknown) => {
            const error = MeshError.from(thrown);
            const events = group.events.slice(from, from + APPEND_MAX);
            for (const { place } of events) call.outcomes[place] = error;
            if (group.homes.length > 0) this.#giveBack(call, events.length);
            ledger.storeRefused(tenant, events.length, error);
          },
        ),
      );
    }
    group.records = [];
    await Promise.all(parts);
    for (const span of group.spans) span.end();
    ledger.publishTime('durable', (performance.now() - call.started) / 1000);
  }

  /** The log of timers is made when the first event of a tenant is for later. */
  async #ready(call: Call, { homes }: Group): Promise<void> {
    const timers = this.#deps.timers();
    const { tenant } = call.session.principal;
    if (timers.ready(tenant)) return;
    try {
      await timers.ensure(tenant);
    } catch (error) {
      this.#giveBack(call, homes.length);
      throw error;
    }
  }

  #giveBack({ session }: Call, places: number): void {
    if (places > 0) this.#deps.timers().room(session.principal.tenant).give(places);
  }

  #appendPart({ producer, session: { principal } }: Call, group: Group, from: number) {
    const { store } = this.#deps;
    const { log, partition, homes } = group;
    const records = group.records.slice(from, from + APPEND_MAX);
    if (producer === undefined) {
      if (homes.length === 0) return store.append({ log, partition, records });
      const timers = records.map((record, at) => ({ ...record, partition: homes[from + at] ?? 0 }));
      return this.#deps.timers().append(principal.tenant, timers);
    }
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
    let last = 0;
    const { durability } = receipt;
    for (let i = 0; i < receipt.positions.length; i++) {
      const position = receipt.positions[i] as number;
      const event = group.events[from + i] as Sent;
      const { resolved, deliverAtMs } = event;
      const duplicate = duplicates?.has(i) ?? false;
      const { destinations } = resolved;
      const noInterest = !resolved.wanted.durable;
      const stored = { site, partition, position, duplicate, durability, noInterest, destinations };
      // A duplicate comes when the first one is due, and that may be another time.
      const later = deliverAtMs !== 0 && !duplicate;
      call.outcomes[event.place] = later ? { ...stored, deliverAtMs } : stored;
      if (duplicate) continue;
      bytes += event.bytes;
      last = Math.max(last, position);
      // A scheduled event comes into the books of its topic when it is published.
      if (deliverAtMs !== 0) continue;
      const { count } = resolved;
      count.events++;
      count.lastTimeMs = timeMs;
      journal.stored(tenant, partition, position, event);
    }
    const count = receipt.positions.length - receipt.duplicates.length;
    ledger.accepted(tenant, 'durable', count, bytes);
    ledger.duplicates(tenant, receipt.duplicates.length);
    if (group.homes.length === 0) return;
    this.#giveBack(call, receipt.duplicates.length);
    this.#deps.timers().room(tenant).landed(count, last);
  }
}
