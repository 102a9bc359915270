import {
  type KvCompare,
  type KvEntry,
  type KvOperation,
  type KvTransactionResult,
} from '@eventmesh/kv-api';
import {
  asBytes,
  keyBytes,
  readState,
  toEntry,
  type Layout,
  type State,
  type StoredChange,
} from './layout.ts';

export interface HistoryBounds {
  readonly historyRevisionsMax: number;
  readonly historyBytesMax: number;
}

/** Reads one entry, inside a write transaction or outside. */
export function readEntry(layout: Layout, key: string): KvEntry | undefined {
  const stored = layout.entries.get(keyBytes(key));
  return stored === undefined ? undefined : toEntry(key, stored);
}

/**
 * The body of every write; runs inside one LMDB transaction. Everything that can be refused is
 * refused before the first change, since LMDB's batch cannot be rolled back for one caller alone.
 */
export function applyWrite(
  layout: Layout,
  bounds: HistoryBounds,
  compare: readonly KvCompare[],
  operations: readonly KvOperation[],
): KvTransactionResult {
  const state = readState(layout);
  const current = compare.map(({ key }) => readEntry(layout, key));
  if (!compare.every((c, i) => holds(c, current[i]))) {
    return { applied: false, revision: state.revision, current };
  }
  const revision = state.revision + 1;
  const changes: StoredChange[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const change = applyOperation(layout, operation, revision);
    if (change === undefined) continue;
    changes.push(change);
    bytes += change[0] === 'put' ? change[4].byteLength : 0;
  }
  if (changes.length === 0) return { applied: true, revision: state.revision };
  layout.log.putSync(revision, [bytes, changes]);
  writeState(layout, bounds, { ...state, revision, logBytes: state.logBytes + bytes });
  return { applied: true, revision };
}

const holds = (compare: KvCompare, entry: KvEntry | undefined): boolean =>
  'modRevision' in compare
    ? compare.modRevision === (entry?.modRevision ?? 0)
    : compare.createRevision === (entry?.createRevision ?? 0);

function applyOperation(
  layout: Layout,
  operation: KvOperation,
  revision: number,
): StoredChange | undefined {
  const { key } = operation;
  const bytes = keyBytes(key);
  const before = layout.entries.get(bytes);
  const leaseBefore = before?.[2] ?? null;
  if (operation.type === 'delete') {
    if (before === undefined) return undefined;
    layout.entries.removeSync(bytes);
    if (leaseBefore !== null) layout.attached.removeSync([leaseBefore, key]);
    return ['delete', key];
  }
  const lease = operation.lease ?? null;
  const create = before?.[1] ?? revision;
  const value = asBytes(operation.value);
  layout.entries.putSync(bytes, [revision, create, lease, value]);
  if (leaseBefore !== null && leaseBefore !== lease) layout.attached.removeSync([leaseBefore, key]);
  if (lease !== null) layout.attached.putSync([lease, key], true);
  return ['put', key, create, lease, value];
}

/** Writes the state after dropping the oldest history beyond the bounds; keeps the last revision. */
export function writeState(layout: Layout, bounds: HistoryBounds, state: State): void {
  let { compacted, logBytes } = state;
  while (
    state.revision - compacted > bounds.historyRevisionsMax ||
    (logBytes > bounds.historyBytesMax && compacted + 1 < state.revision)
  ) {
    compacted += 1;
    logBytes -= layout.log.get(compacted)?.[0] ?? 0;
    layout.log.removeSync(compacted);
  }
  layout.meta.putSync('state', { ...state, compacted, logBytes });
}

/** The keys attached to a lease, in a write transaction or outside. */
export function attachedKeys(layout: Layout, lease: string): string[] {
  const keys: string[] = [];
  for (const [id, key] of layout.attached.getKeys({ start: [lease, ''] })) {
    if (id !== lease) break;
    keys.push(key);
  }
  return keys;
}
