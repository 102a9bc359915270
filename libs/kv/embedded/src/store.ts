import { mkdirSync, realpathSync } from 'node:fs';
import { MeshError, unavailable } from '@eventmesh/errors';
import {
  leaseNotFound,
  type KvCompare,
  type KvOperation,
  type KvTransactionResult,
} from '@eventmesh/kv-api';
import { lockFolder } from './folder-lock.ts';
import { openLayout, readState, type Layout } from './layout.ts';
import { LeaseTable } from './lease-table.ts';
import { compileOptions, type CompiledOptions, type EmbeddedKvOptions } from './options.ts';
import { applyWrite, attachedKeys, writeState } from './write.ts';

/**
 * The one store behind all handles of a process on the same folder: its leases and its wake-ups must
 * be shared, or one handle would miss what another did.
 */
export class Store {
  readonly options: CompiledOptions;
  readonly layout: Layout;
  readonly leases: LeaseTable;
  readonly #unlock: () => void;
  readonly #sleepers = new Set<() => void>();
  #writing: Promise<unknown> = Promise.resolve();
  #closed = false;
  #version = 0;

  constructor(options: CompiledOptions) {
    this.options = options;
    this.#unlock = lockFolder(options.dir);
    try {
      this.layout = openLayout(options.dir);
      const { format } = readState(this.layout);
      if (format !== 1) throw wrongFormat(options.dir, format);
    } catch (error) {
      this.#unlock();
      throw error;
    }
    this.leases = new LeaseTable(options.clock, () => void this.#expire());
    for (const { key, value } of this.layout.leases.getRange()) this.leases.restore(key, value);
    this.leases.arm();
  }

  /** The write path of put, delete and transact. */
  async write(
    compare: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvTransactionResult> {
    const result = await this.transaction(() => {
      for (const operation of operations) {
        const lease = operation.type === 'put' ? operation.lease : undefined;
        if (lease !== undefined && !this.leases.isRunning(lease)) return leaseNotFound(lease);
      }
      return applyWrite(this.layout, this.options, compare, operations);
    });
    if (result instanceof MeshError) throw result;
    return result;
  }

  /** Runs `body` in a write transaction and resolves once it is on disk. `body` must not throw. */
  async transaction<T>(body: () => T): Promise<T> {
    if (this.#closed) throw unavailable(`the store in ${this.options.dir} is closed`);
    const committed = this.layout.root.transaction(body);
    this.#writing = Promise.allSettled([this.#writing, committed]);
    try {
      const result = await committed;
      this.#version += 1;
      for (const wake of [...this.#sleepers]) wake();
      return result;
    } catch (error) {
      throw unavailable(`the store in ${this.options.dir} could not be written`, error);
    }
  }

  async grantLease(ttlMs: number): Promise<string> {
    const deadline = this.options.clock.now() + ttlMs;
    const id = await this.transaction(() => {
      const state = readState(this.layout);
      const lease = state.nextLease.toString(16).padStart(12, '0');
      writeState(this.layout, this.options, { ...state, nextLease: state.nextLease + 1 });
      this.layout.leases.putSync(lease, [ttlMs, deadline]);
      return lease;
    });
    this.leases.set(id, ttlMs, deadline);
    return id;
  }

  async renewLease(id: string, ttlMs: number): Promise<void> {
    const deadline = this.options.clock.now() + ttlMs;
    const renewed = await this.transaction(() => {
      if (!this.leases.isRunning(id)) return false;
      this.layout.leases.putSync(id, [ttlMs, deadline]);
      // Inside the transaction, so that no expiry ordered after it still sees the old deadline.
      this.leases.set(id, ttlMs, deadline);
      return true;
    });
    if (!renewed) throw leaseNotFound(id);
  }

  async endLeases(ids: readonly string[], onlyDue: boolean): Promise<void> {
    await this.transaction(() => {
      for (const id of ids) {
        if (onlyDue && this.leases.isRunning(id)) continue;
        const keys = attachedKeys(this.layout, id);
        const deletes = keys.map((key): KvOperation => ({ type: 'delete', key }));
        applyWrite(this.layout, this.options, [], deletes);
        this.layout.leases.removeSync(id);
        this.leases.delete(id);
      }
    });
  }

  async compact(revision: number): Promise<void> {
    await this.transaction(() => {
      const state = readState(this.layout);
      const keep = Math.max(1, state.revision - Math.min(revision, state.revision));
      writeState(
        this.layout,
        { ...this.options, historyRevisionsMax: Math.min(keep, this.options.historyRevisionsMax) },
        state,
      );
    });
  }

  /** Grows with each committed write of this process. */
  get version(): number {
    return this.#version;
  }

  /** Resolves once the version is no longer `version`, or when `signal` aborts. */
  changedSince(version: number, signal: AbortSignal): Promise<void> {
    if (this.#version !== version || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#sleepers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.leases.stop();
    await this.#writing;
    await this.layout.root.close();
    this.#unlock();
  }

  async #expire(): Promise<void> {
    try {
      await this.endLeases(this.leases.due(), true);
    } catch {
      // The disk refused the write: the leases count as ended all the same (`isRunning`), and arming
      // again repeats the removal of their keys. The writers on this store see the same error.
      if (!this.#closed) this.options.clock.setTimer(1000, () => void this.#expire());
      return;
    }
    if (!this.#closed) this.leases.arm();
  }
}

const wrongFormat = (dir: string, format: unknown): MeshError =>
  new MeshError(
    'FailedPrecondition',
    `dir: ${dir} was written by another version (format ${String(format)}); this one reads format 1`,
    { field: 'dir', reason: 'UNKNOWN_FORMAT' },
  );

interface Shared {
  readonly store: Store;
  handles: number;
}

const open = new Map<string, Shared>();
const closing = new Map<string, Promise<void>>();

/** The process's store on a folder, opened at the first call; `release` closes it at the last. */
export async function acquireStore(
  given: EmbeddedKvOptions,
): Promise<{ store: Store; release: () => Promise<void> }> {
  const options = compileOptions(given);
  mkdirSync(options.dir, { recursive: true });
  const path = realpathSync(options.dir);
  await closing.get(path);
  const shared = open.get(path) ?? { store: new Store({ ...options, dir: path }), handles: 0 };
  open.set(path, shared);
  shared.handles += 1;
  return {
    store: shared.store,
    async release() {
      shared.handles -= 1;
      if (shared.handles > 0) return;
      open.delete(path);
      const closed = shared.store.close().finally(() => closing.delete(path));
      closing.set(path, closed);
      await closed;
    },
  };
}
