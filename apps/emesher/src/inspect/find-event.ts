import type { WhySearch } from '@eventmesh/adapter-api';
import { EventView, decodeRecord, type RecordView } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import type { Journal } from './journal.ts';

export interface FindDeps {
  readonly site: string;
  readonly journal: Journal;
  readonly store: EventStore;
  readonly logs: Logs;
  /** Stored records that are looked through when the journal does not know an event. */
  readonly scanMax: number;
}

/** Where an event lies, or lay, in a log of this site. */
export interface Copy {
  readonly partition: number;
  readonly position: number;
  readonly source: string;
  readonly topic: string;
  /** Undefined when it is no longer in the store. */
  readonly record: RecordView | undefined;
}

/** Most copies that are told of; an id is of little use when there are more. */
const COPIES_MAX = 16;

/**
 * The copies of an event in a tenant's log: those that the journal remembers, else those among the
 * newest `scanMax` records, with how far was looked.
 */
export async function findCopies(
  deps: FindDeps,
  tenant: string,
  id: string,
  source: string | undefined,
): Promise<{ readonly copies: readonly Copy[]; readonly searches: readonly WhySearch[] }> {
  const { journal, store, logs, site, scanMax } = deps;
  const log = logs.name(tenant);
  const known = journal.find(tenant, id, source).slice(-COPIES_MAX);
  if (known.length > 0) {
    const copies = known.map(async ({ partition, position, source: from, topic }) => {
      const record = await readRecord(store, log, partition, position);
      return { partition, position, source: from, topic, record };
    });
    return { copies: await Promise.all(copies), searches: [] };
  }
  const partitions = (await store.logInfo(log))?.partitions ?? [];
  const each = Math.ceil(scanMax / Math.max(1, partitions.length));
  const copies: Copy[] = [];
  const searches: WhySearch[] = [];
  for (const { partition, first, last } of partitions) {
    const from = Math.max(first, last - each + 1);
    searches.push({ site, partition, from, to: last, first });
    if (from <= last)
      copies.push(...(await scan(store, log, { partition, from, last }, id, source)));
  }
  return { copies: copies.slice(-COPIES_MAX), searches };
}

async function scan(
  store: EventStore,
  log: string,
  {
    partition,
    from,
    last,
  }: { readonly partition: number; readonly from: number; readonly last: number },
  id: string,
  source: string | undefined,
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
  store: EventStore,
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
