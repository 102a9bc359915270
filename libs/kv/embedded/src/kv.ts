import { MeshError } from '@eventmesh/errors';
import {
  checkKey,
  checkLeaseTtl,
  checkPrefix,
  checkRange,
  checkRevision,
  checkTransaction,
  checkValue,
  keepLeaseAlive,
  type Kv,
  type KvConditionOptions,
  type KvEntry,
  type KvKeepAlive,
  type KvLease,
  type KvOperation,
  type KvPage,
  type KvPutOptions,
  type KvRangeOptions,
  type KvTransaction,
  type KvTransactionResult,
  type KvWatchEvent,
  type KvWatchOptions,
  type KvWriteResult,
} from '@eventmesh/kv-api';
import {
  keyBytes,
  prefixEnd,
  readState,
  toChange,
  toEntry,
  type StoredRevision,
} from './layout.ts';
import type { EmbeddedKvOptions } from './options.ts';
import { acquireStore, type Store } from './store.ts';
import { applyWrite, readEntry } from './write.ts';

/** How many revisions a watch reads from the log at a time. */
const WATCH_PAGE = 256;

export interface EmbeddedKv extends Kv {
  /** Gives up the history up to `revision` (the newest stays); watches behind it must reload. */
  compact(revision: number): Promise<void>;
}

/**
 * Opens the store in a folder. Within one process the same folder may be opened again: all handles
 * share it, with the options of the first, and the last `close` closes it.
 */
export async function openEmbeddedKv(options: EmbeddedKvOptions): Promise<EmbeddedKv> {
  const { store, release } = await acquireStore(options);
  return new Handle(store, release);
}

class Handle implements EmbeddedKv {
  readonly #store: Store;
  readonly #release: () => Promise<void>;
  readonly #closing = new AbortController();
  readonly #keepAlives = new Set<KvKeepAlive>();
  #closed: Promise<void> | undefined;

  constructor(store: Store, release: () => Promise<void>) {
    this.#store = store;
    this.#release = release;
  }

  async get(key: string): Promise<KvEntry | undefined> {
    checkKey(key);
    return readEntry(this.#open().layout, key);
  }

  async range(prefix: string, options: KvRangeOptions = {}): Promise<KvPage> {
    const limit = checkRange(prefix, options);
    const { layout } = this.#open();
    // Before the entries: a watch from here may repeat what they show, never miss it.
    const { revision } = readState(layout);
    const after = keyBytes(options.after ?? '');
    const afterInside = Buffer.compare(after, keyBytes(prefix)) >= 0 && after.length > 0;
    const start = afterInside ? after : keyBytes(prefix);
    const end = prefixEnd(prefix);
    const found = [
      ...layout.entries.getRange({
        ...(start.length === 0 ? {} : { start }),
        ...(end === undefined ? {} : { end }),
        exclusiveStart: afterInside,
        limit: limit + 1,
      }),
    ];
    const entries = found
      .slice(0, limit)
      .map(({ key, value }) => toEntry(Buffer.from(key).toString('utf8'), value));
    const last = entries.at(-1);
    const next = found.length > limit && last !== undefined ? { next: last.key } : {};
    return { entries, revision, ...next };
  }

  async put(key: string, value: Uint8Array, options: KvPutOptions = {}): Promise<KvWriteResult> {
    checkKey(key);
    checkValue(value);
    const { lease, ifRevision } = options;
    if (ifRevision !== undefined) checkRevision(ifRevision, 'ifRevision', 0);
    const put: KvOperation = { type: 'put', key, value, ...(lease === undefined ? {} : { lease }) };
    const compare = ifRevision === undefined ? [] : [{ key, modRevision: ifRevision }];
    const result = await this.#open().write(compare, [put]);
    return result.applied ? result : { ...result, current: result.current[0] };
  }

  async delete(key: string, options: KvConditionOptions = {}): Promise<KvWriteResult> {
    checkKey(key);
    const { ifRevision } = options;
    if (ifRevision !== undefined) checkRevision(ifRevision, 'ifRevision', 0);
    const { layout, options: bounds } = this.#open();
    return this.#store.transaction(() => {
      const current = readEntry(layout, key);
      const allowed = ifRevision === undefined || ifRevision === current?.modRevision;
      if (current === undefined || !allowed) {
        return { applied: false, revision: readState(layout).revision, current };
      }
      const { revision } = applyWrite(layout, bounds, [], [{ type: 'delete', key }]);
      return { applied: true, revision };
    });
  }

  async transact(transaction: KvTransaction): Promise<KvTransactionResult> {
    checkTransaction(transaction);
    return this.#open().write(transaction.compare ?? [], transaction.then);
  }

  async grantLease(ttlMs: number): Promise<KvLease> {
    checkLeaseTtl(ttlMs);
    return this.lease(await this.#open().grantLease(ttlMs), ttlMs);
  }

  lease(id: string, ttlMs: number): KvLease {
    checkLeaseTtl(ttlMs);
    const store = this.#open();
    let keepAlive: KvKeepAlive | undefined;
    const lease: KvLease = {
      id,
      ttlMs,
      renew: () => this.#open().renewLease(id, ttlMs),
      keepAlive: (onLost) => {
        if (keepAlive !== undefined) {
          throw new MeshError('FailedPrecondition', `lease ${id} is already kept alive`);
        }
        const renewing = keepLeaseAlive(lease, store.options.clock, onLost, () =>
          this.#keepAlives.delete(renewing),
        );
        keepAlive = renewing;
        this.#keepAlives.add(renewing);
        return renewing;
      },
      revoke: async () => {
        keepAlive?.stop();
        await this.#open().endLeases([id], false);
      },
    };
    return lease;
  }

  async *watch(prefix: string, options: KvWatchOptions): AsyncGenerator<KvWatchEvent, void> {
    checkPrefix(prefix);
    checkRevision(options.fromRevision, 'fromRevision', 1);
    const signal =
      options.signal === undefined
        ? this.#closing.signal
        : AbortSignal.any([options.signal, this.#closing.signal]);
    let next = options.fromRevision;
    while (!signal.aborted) {
      // Taken before the read: a write that commits after it must not be slept through.
      const version = this.#store.version;
      const page = this.#readLog(next);
      if (page === undefined) {
        yield { type: 'compacted', revision: readState(this.#store.layout).compacted };
        return;
      }
      for (const { key: revision, value } of page) {
        const changes = value[1]
          .filter(([, key]) => key.startsWith(prefix))
          .map((change) => toChange(change, revision));
        if (changes.length > 0) yield { type: 'changes', revision, changes };
        next = revision + 1;
        if (signal.aborted) return;
      }
      if (page.length === 0) await this.#store.changedSince(version, signal);
    }
  }

  async ping(): Promise<void> {
    readState(this.#open().layout);
  }

  compact(revision: number): Promise<void> {
    checkRevision(revision, 'revision', 1);
    return this.#open().compact(revision);
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort();
      for (const keepAlive of this.#keepAlives) keepAlive.stop();
      await this.#release();
    })();
    return this.#closed;
  }

  /** The next page of the log, or undefined when `from` is not (or no longer) to be had. */
  #readLog(from: number): { key: number; value: StoredRevision }[] | undefined {
    const { layout } = this.#store;
    const { revision, compacted } = readState(layout);
    if (from <= compacted || from > revision + 1) return undefined;
    const page = [...layout.log.getRange({ start: from, limit: WATCH_PAGE })];
    return page.length > 0 && page[0]?.key !== from ? undefined : page;
  }

  #open(): Store {
    if (this.#closing.signal.aborted) {
      throw new MeshError('Unavailable', 'this handle of the store is closed');
    }
    return this.#store;
  }
}
