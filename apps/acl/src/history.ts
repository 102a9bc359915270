import type { KvOperation } from '@eventmesh/kv-api';
import { deleteRecord, putRecord, type HistoryRecord, type StoredRecord } from './records.ts';

/** Most commits that can be taken back to look at the past. */
export const HISTORY_MAX = 512;
/** Commits with more to take back than this, in bytes of JSON, end what can be looked at. */
export const UNDO_BYTES_MAX = 32_768;
/** Of each transaction: what takes the commit back, and what is forgotten for it. */
export const HISTORY_OPERATIONS = 2;

/** The records there are, by their keys. */
export type Records = ReadonlyMap<string, StoredRecord>;

/**
 * What has to be written with a commit, so that the rights before it can still be told: the records
 * that it replaces, as they were. The oldest such entry goes for it.
 *
 * @param version Of `records`, before the commit.
 */
export function historyOf(
  version: number,
  records: Pick<Records, 'get'>,
  history: readonly HistoryRecord[],
  operations: readonly KvOperation[],
): KvOperation[] {
  const undo = operations
    .filter(({ key }) => key !== 'bootstrap')
    .map(({ key }) => ({ key, record: withoutSecret(records.get(key)) }));
  if (undo.length === 0) return [];
  const whole = undo.every(({ record }) => record?.type !== 'broken');
  const kept = whole && JSON.stringify(undo).length <= UNDO_BYTES_MAX;
  const entry: HistoryRecord = { type: 'history', before: version, undo: kept ? undo : null };
  const [oldest] = history;
  const forgotten = history.length >= HISTORY_MAX && oldest !== undefined;
  return [putRecord(entry), ...(forgotten ? [deleteRecord(oldest)] : [])];
}

/**
 * The records as they were at an earlier version; undefined when that is no longer known.
 *
 * @param history In the order of their versions.
 */
export function recordsAt(
  version: number,
  records: Records,
  history: readonly HistoryRecord[],
): Map<string, StoredRecord> | undefined {
  const [oldest] = history;
  if (oldest === undefined || version < oldest.before) return undefined;
  const past = new Map(records);
  for (let at = history.length - 1; at >= 0; at--) {
    const { before, undo } = history[at] as HistoryRecord;
    if (before < version) break;
    if (undo === null) return undefined;
    for (const { key, record } of undo) {
      if (record === null) past.delete(key);
      else past.set(key, record);
    }
  }
  return past;
}

/** Who may what is looked at in the past, never whether a password is right. */
function withoutSecret(record: StoredRecord | undefined): StoredRecord | null {
  if (record?.type === 'user') return { ...record, passwordHash: '' };
  if (record?.type === 'key') return { ...record, secretHash: '' };
  return record ?? null;
}
