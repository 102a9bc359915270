import { type Database, type RootDatabase, open } from 'lmdb';
import type { KvChange, KvEntry } from '@eventmesh/kv-api';

/**
 * What lies on disk, in one LMDB environment:
 *
 * | database | key | value |
 * |---|---|---|
 * | `entries` | UTF-8 bytes of the key | [modRevision, createRevision, lease or null, value] |
 * | `log` | revision | [bytes of its values, changes] |
 * | `leases` | lease id | [ttlMs, deadline in ms since the epoch] |
 * | `attached` | [lease id, key] | true |
 * | `meta` | `state` | {@link State} |
 */
export interface Layout {
  readonly root: RootDatabase;
  readonly entries: Database<StoredEntry, Uint8Array>;
  readonly log: Database<StoredRevision, number>;
  readonly leases: Database<StoredLease, string>;
  readonly attached: Database<true, [string, string]>;
  readonly meta: Database<State, string>;
}

export type StoredEntry = [mod: number, create: number, lease: string | null, value: Uint8Array];
export type StoredChange =
  | [type: 'put', key: string, create: number, lease: string | null, value: Uint8Array]
  | [type: 'delete', key: string];
export type StoredRevision = [bytes: number, changes: StoredChange[]];
export type StoredLease = [ttlMs: number, deadline: number];

export interface State {
  readonly format: 1;
  /** Of the last write; an empty store is at 1, like etcd. */
  readonly revision: number;
  /** The log holds `compacted + 1` to `revision`. */
  readonly compacted: number;
  /** Bytes of the values in the log. */
  readonly logBytes: number;
  readonly nextLease: number;
}

const EMPTY: State = { format: 1, revision: 1, compacted: 1, logBytes: 0, nextLease: 1 };

export function openLayout(dir: string): Layout {
  const root = open({
    path: dir,
    maxDbs: 8,
    // A commit resolves only after it is on disk, so that a write is acknowledged once it is durable.
    overlappingSync: false,
  });
  return {
    root,
    entries: root.openDB({ name: 'entries', keyEncoding: 'binary', encoding: 'msgpack' }),
    log: root.openDB({ name: 'log', encoding: 'msgpack' }),
    leases: root.openDB({ name: 'leases', encoding: 'msgpack' }),
    attached: root.openDB({ name: 'attached', encoding: 'msgpack' }),
    meta: root.openDB({ name: 'meta', encoding: 'msgpack' }),
  };
}

export const readState = (layout: Layout): State => layout.meta.get('state') ?? EMPTY;

export const keyBytes = (key: string): Buffer => Buffer.from(key, 'utf8');

/** The least key above all that start with `prefix`; UTF-8 has no byte 0xff, so it always exists. */
export function prefixEnd(prefix: string): Buffer | undefined {
  if (prefix === '') return undefined;
  const end = keyBytes(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}

export function toEntry(key: string, stored: StoredEntry): KvEntry {
  const [modRevision, createRevision, lease, value] = stored;
  return { key, value, modRevision, createRevision, ...(lease === null ? {} : { lease }) };
}

export function toChange(stored: StoredChange, revision: number): KvChange {
  if (stored[0] === 'delete') return { type: 'delete', key: stored[1] };
  const [, key, createRevision, lease, value] = stored;
  return { type: 'put', key, entry: toEntry(key, [revision, createRevision, lease, value]) };
}

/** The encoder stores a Buffer as plain bytes; this is a view, the caller's bytes are not copied. */
export const asBytes = (value: Uint8Array): Buffer =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength);
