import type { PublishItem, Receipt } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import type { AppendReceipt, AppendRecord, EventStore } from '@eventmesh/store-api';
import type { Tracing } from '@eventmesh/telemetry';
import { nowUs } from '../clock.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Journal } from '../inspect/journal.ts';
import { partitionOf, type Logs } from '../logs.ts';
import type { CallerSession } from '../session.ts';
import { admit, type AdmitDeps, type Admitted } from './admit.ts';
import type { DirectSwitch } from './direct.ts';
import { startPublishSpan, type PublishSpan } from './spans.ts';

export interface PublisherDeps extends AdmitDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly direct: DirectSwitch;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly tracing: Tracing;
}

/** Events of one partition on their way to the store, with their places in the answer. */
interface Group {
  readonly records: AppendRecord[];
  readonly admitted: Admitted[];
  readonly places: number[];
  /** Open until the store has answered; empty while nothing is traced. */
  readonly spans: PublishSpan[];
}

/** Most records of one append. */
const APPEND_MAX = 1000;

/**
 * admit → resolve → append → receipt. Events of one call keep their order; calls of one caller are
 * appended in call order. Nothing is answered before the store's receipt.
 */
export class Publisher {
  readonly #deps: PublisherDeps;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  async publish(
    session: CallerSession,
    items: readonly PublishItem[],
    atomic: boolean,
  ): Promise<(Receipt | MeshError)[]> {
    const started = performance.now();
    const { tenant } = session.principal;
    const outcomes = new Array<Receipt | MeshError>(items.length);
    const partitions = this.#deps.logs.partitions(tenant) ?? (await this.#openLog(tenant));
    const groups = this.#gate(session, items, outcomes, partitions);
    const problem = atomic ? this.#atomicProblem(groups, outcomes) : undefined;
    if (problem !== undefined) return items.map(() => problem);
    await Promise.all(
      [...groups].map(([partition, group]) =>
        this.#append(tenant, partition, group, outcomes, started),
      ),
    );
    return outcomes;
  }

  async #openLog(tenant: string): Promise<number> {
    const info = await this.#deps.logs.ensure(tenant);
    return info.partitions.length;
  }

  /** Checks each event, hands direct ones over, and encodes the others into records. */
  #gate(
    session: CallerSession,
    items: readonly PublishItem[],
    outcomes: (Receipt | MeshError)[],
    partitions: number,
  ): Map<number, Group> {
    const groups = new Map<number, Group>();
    const timeUs = nowUs();
    for (const [place, item] of items.entries()) {
      try {
        const admitted = admit(this.#deps, session, item);
        if (admitted.direct) {
          outcomes[place] = this.#deps.direct.publish(session, admitted, timeUs);
          continue;
        }
        const partition = partitionOf(item.topic, admitted.key, partitions);
        let group = groups.get(partition);
        if (group === undefined) {
          group = { records: [], admitted: [], places: [], spans: [] };
          groups.set(partition, group);
        }
        group.records.push(this.#record(session, admitted, timeUs, group.spans));
        group.admitted.push(admitted);
        group.places.push(place);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        outcomes[place] = error;
        this.#deps.ledger.refused(session.principal, item.topic, error);
      }
    }
    return groups;
  }

  #record(
    session: CallerSession,
    admitted: Admitted,
    timeUs: number,
    spans: PublishSpan[],
  ): AppendRecord {
    const { site, tracing } = this.#deps;
    const span = tracing.enabled
      ? startPublishSpan(tracing, site, session.principal.tenant, admitted)
      : undefined;
    if (span !== undefined) spans.push(span);
    const bytes = admitted.resolved.encoder.encode(
      {
        key: admitted.key,
        ingressTimeUs: timeUs,
        expiryMs: admitted.expiryMs,
        traceparent: span?.traceparent ?? admitted.traceparent,
        hops: [],
      },
      admitted.event.bytes,
    );
    return { bytes, dedupKey: admitted.dedupKey };
  }

  #atomicProblem(
    groups: ReadonlyMap<number, Group>,
    outcomes: readonly (Receipt | MeshError | undefined)[],
  ): MeshError | undefined {
    const refused = outcomes.find((outcome) => outcome instanceof MeshError);
    if (refused instanceof MeshError) {
      return new MeshError(
        refused.code,
        `the atomic batch is refused as a whole: ${refused.message}`,
        refused.details,
      );
    }
    const [only] = groups.values();
    if (groups.size === 1 && (only?.records.length ?? 0) <= APPEND_MAX) return undefined;
    return invalid(
      'atomic',
      `the events fall into ${groups.size} partitions; give them one topic and partitionkey`,
      { reason: 'ATOMIC_ACROSS_PARTITIONS', limit: `1 partition, ${APPEND_MAX} events` },
    );
  }

  async #append(
    tenant: string,
    partition: number,
    group: Group,
    outcomes: (Receipt | MeshError)[],
    started: number,
  ): Promise<void> {
    const { store, logs, ledger } = this.#deps;
    const log = logs.name(tenant);
    // All parts are handed over in this turn, so that the store keeps their order.
    const parts: Promise<void>[] = [];
    for (let from = 0; from < group.records.length; from += APPEND_MAX) {
      const records = group.records.slice(from, from + APPEND_MAX);
      parts.push(
        store.append({ log, partition, records }).then(
          (receipt) => this.#receipts(tenant, partition, group, from, receipt, outcomes),
          (thrown: unknown) => {
            const error = MeshError.from(thrown);
            for (let i = 0; i < records.length; i++) outcomes[group.places[from + i] ?? 0] = error;
            ledger.storeRefused(tenant, records.length, error);
          },
        ),
      );
    }
    await Promise.all(parts);
    for (const span of group.spans) span.end();
    ledger.publishTime('durable', (performance.now() - started) / 1000);
  }

  #receipts(
    tenant: string,
    partition: number,
    group: Group,
    from: number,
    receipt: AppendReceipt,
    outcomes: (Receipt | MeshError)[],
  ): void {
    const { site, ledger, journal } = this.#deps;
    const duplicates = receipt.duplicates.length === 0 ? undefined : new Set(receipt.duplicates);
    const timeMs = Date.now();
    let bytes = 0;
    for (const [i, position] of receipt.positions.entries()) {
      const admitted = group.admitted[from + i];
      const place = group.places[from + i];
      if (admitted === undefined || place === undefined) continue;
      const duplicate = duplicates?.has(i) ?? false;
      bytes += admitted.event.bytes.length;
      outcomes[place] = {
        site,
        partition,
        position,
        duplicate,
        durability: receipt.durability,
        noInterest: admitted.resolved.noInterest,
        destinations: admitted.resolved.destinations,
      };
      if (duplicate) continue;
      const { topic, count } = admitted.resolved;
      count.events++;
      count.lastTimeMs = timeMs;
      journal.stored(tenant, partition, position, admitted.event, topic);
    }
    const count = receipt.positions.length - receipt.duplicates.length;
    ledger.accepted(tenant, 'durable', count, bytes);
    ledger.duplicates(tenant, receipt.duplicates.length);
  }
}
