import { decodeRecord } from '@eventmesh/event';
import type { ResumePoint } from '@eventmesh/proto-gen/link';
import type { EventStore, ReadOptions } from '@eventmesh/store-api';
import type { PassedBy } from './passed.ts';

/** Bytes read ahead to see one record. */
const READ_BYTES = 64 * 1024;

/** What a neighbour has kept of what was passed by, when it is still about this log. */
export async function keptBy(
  store: EventStore,
  log: string,
  { partition, last, passed }: ResumePoint,
  signal?: AbortSignal,
): Promise<PassedBy | undefined> {
  if (passed === undefined || passed.upTo <= last) return undefined;
  const kept = {
    upTo: Number(passed.upTo),
    ingressTimeUs: Number(passed.ingressTimeUs),
    sites: passed.sites.map((range) => ({
      site: range.site,
      first: Number(range.first),
      last: Number(range.last),
    })),
  };
  const where = { log, partition, ...(signal === undefined ? {} : { signal }) };
  return (await hasRecord(store, where, kept.upTo, kept)) ? kept : undefined;
}

/**
 * Whether the log has this record, or had it: its place was dropped since.
 * @param record Which one; without it any record will do.
 */
export async function hasRecord(
  store: EventStore,
  where: Pick<ReadOptions, 'log' | 'partition' | 'signal'>,
  position: number,
  record?: { readonly ingressTimeUs: number },
): Promise<boolean> {
  const from = { kind: 'position', position } as const;
  const options = { ...where, from, stopAtEnd: true, readAheadBytes: READ_BYTES };
  for await (const item of store.read(options)) {
    if (item.kind === 'gap') return item.to >= position;
    if (item.kind !== 'batch') continue;
    const [bytes] = item.records;
    if (item.positions[0] !== position || bytes === undefined) return false;
    return record === undefined || decodeRecord(bytes).ingressTimeUs === record.ingressTimeUs;
  }
  return false;
}
