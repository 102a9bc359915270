import type { WhySearch } from '@eventmesh/adapter-api';
import { EventView, decodeRecord, type RecordView } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import type { EventPlace } from './journal.ts';
import { PLACES_MAX } from './memory.ts';

export interface FindDeps {
  readonly site: string;
  readonly store: Pick<EventStore, 'read' | 'logInfo'>;
  readonly logs: Pick<Logs, 'name'>;
  /** Stored records that are looked through when no emesher remembers an event. */
  readonly scanMax: number;
}

/** Which event is looked for. */
export interface Wanted {
  readonly tenant: string;
  readonly id: string;
  readonly source: string | undefined;
}

/** Where an event lies, or lay, in a log of this site. */
export interface Copy extends EventPlace {
  /** Empty when it is not known any more. */
  readonly source: string;
  readonly topic: string;
  /** Undefined when it is no longer in the store: then it is known by its fingerprint alone. */
  readonly record: RecordView | undefined;
}

/**
 * The copies of an event in a tenant's log: those that an emesher remembers, else those among the
 * newest `scanMax` records, with how far was looked.
 */
export async function findCopies(
  deps: FindDeps,
  wanted: Wanted,
  places: readonly EventPlace[],
): Promise<{ readonly copies: readonly Copy[]; readonly searches: readonly WhySearch[] }> {
  const { store, logs, site, scanMax } = deps;
  const known = await readCopies(deps, wanted, places);
  if (known.length > 0) return { copies: known, searches: [] };
  const log = logs.name(wanted.tenant);
  const partitions = (await store.logInfo(log))?.partitions ?? [];
  const each = Math.ceil(scanMax / Math.max(1, partitions.length));
  const copies: Copy[] = [];
  const searches: WhySearch[] = [];
  for (const { partition, first, last } of partitions) {
    const from = Math.max(first, last - each + 1);
    searches.push({ site, partition, from, to: last, first });
    if (from <= last) copies.push(...(await scan(store, log, { partition, from, last }, wanted)));
  }
  return { copies: copies.slice(-PLACES_MAX), searches };
}

/**
 * Reads what lies at places that a fingerprint has led to, the newest first, and keeps what is the
 * event; and what is not in the store any more, which nobody can compare.
 *
 * @param places Oldest first.
 */
export async function readCopies(
  { store, logs }: Pick<FindDeps, 'store' | 'logs'>,
  { tenant, id, source }: Wanted,
  places: readonly EventPlace[],
): Promise<Copy[]> {
  const found: Copy[] = [];
  for (const { partition, position } of places.toReversed()) {
    if (found.length === PLACES_MAX) break;
    const record = await readRecord(store, logs.name(tenant), partition, position);
    if (record === undefined) {
      found.push({ partition, position, source: source ?? '', topic: '', record });
      continue;
    }
    const event = new EventView(record.event);
    if (event.id !== id || event.source !== (source ?? event.source)) continue;
    found.push({ partition, position, source: event.source, topic: record.topic, record });
  }
  return found.reverse();
}

async function scan(
  store: FindDeps['store'],
  log: string,
  {
    partition,
    from,
    last,
  }: { readonly partition: number; readonly from: number; readonly last: number },
  { id, source }: Wanted,
): Promise<Copy[]> {
  const found: Copy[] = [];
  const start = { kind: 'position', position: from } as const;
  for await (const item of store.read({ log, partition, from: start, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    for (const [index, bytes] of item.records.entries()) {
      const record = decodeRecord(bytes);
      const event = new EventView(record.event);
      if (event.id !== id || (source !== undefined && event.source !== source)) continue;
      const position = item.positions[index] ?? 0;
      found.push({ partition, position, source: event.source, topic: record.topic, record });
    }
    if (item.upTo >= last) break;
  }
  return found;
}

/** The record at a position; undefined when it is no longer, or not yet, in the store. */
export async function readRecord(
  store: Pick<EventStore, 'read'>,
  log: string,
  partition: number,
  position: number,
): Promise<RecordView | undefined> {
  const from = { kind: 'position', position } as const;
  for await (const item of store.read({ log, partition, from, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    const bytes = item.positions[0] === position ? item.records[0] : undefined;
    return bytes === undefined ? undefined : decodeRecord(bytes);
  }
  return undefined;
}
