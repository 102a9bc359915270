import { mkdirSync } from 'node:fs';
import { invalid } from '@eventmesh/errors';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogSpec,
  decodeCursor,
  encodeCursor,
  RECORD_BYTES_MAX,
  storeClosed,
  type AppendBatch,
  type AppendReceipt,
  type Cursor,
  type CursorCommit,
  type CursorId,
  type DurabilityProfile,
  type EventStore,
  type LogInfo,
  type LogSpec,
  type ReadItem,
  type ReadOptions,
  type StoreCapability,
  type StoreQueues,
} from '@eventmesh/store-api';
import { applyAppend, readSequence } from './append.ts';
import { Committer, type Commit } from './commit.ts';
import { closeDamaged, namedEntries, namedKey, openFiles, type Files } from './files.ts';
import { fromLmdb } from './lmdb-errors.ts';
import { lockFolder } from './lock-file.ts';
import { infoOf, Logs } from './logs.ts';
import { DEFAULT_EMBEDDED_OPTIONS, type EmbeddedStoreOptions } from './options.ts';
import type { Partition } from './partition.ts';
import { readPartition } from './reader.ts';
import { Retention } from './retention.ts';
import { RightOfWay } from './right-of-way.ts';
import { checkOwners, scanAll } from './scan.ts';
import { TailCache } from './tail-cache.ts';
import { trimStep } from './trim.ts';

/**
 * Opens a store in a folder. It belongs to this process until `close`.
 *
 * @throws MeshError FailedPrecondition when another process has it, DataLoss when the file is cut off
 *   or the newest block of a partition is damaged: nothing is repaired by itself.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<EventStore> {
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  const unlock = lockFolder(dir);
  let files: Files | undefined;
  try {
    files = await openFiles(dir);
    return new EmbeddedStore(files, options, unlock);
  } catch (thrown) {
    if (files !== undefined) await closeDamaged(files);
    unlock();
    const error = fromLmdb(thrown, dir);
    // Anything else, such as a missing right, says best itself what it is.
    throw error.code === 'Internal' ? thrown : error;
  }
}

class EmbeddedStore implements EventStore {
  readonly capabilities: ReadonlySet<StoreCapability> = new Set<StoreCapability>([
    'topic-filtered-read',
    'time-seek',
    'retention',
  ]);
  readonly #files: Files;
  readonly #dir: string;
  readonly #unlock: () => void;
  readonly #cache: TailCache;
  readonly #rightOfWay = new RightOfWay();
  readonly #committer: Committer;
  readonly #logs: Logs;
  readonly #retention: Retention;
  #closing: Promise<void> | undefined;

  constructor(files: Files, options: EmbeddedStoreOptions, unlock: () => void) {
    const settings = { ...DEFAULT_EMBEDDED_OPTIONS, ...options };
    this.#files = files;
    this.#dir = options.dir;
    this.#unlock = unlock;
    this.#cache = new TailCache(settings.tailCacheBytes);
    const logs = new Logs(files);
    this.#logs = logs;
    checkOwners(files, logs.partitions());
    if (files.padding !== undefined) scanAll(files, logs.partitions());
    const now = options.now ?? Date.now;
    this.#committer = new Committer(files, {
      dir: this.#dir,
      pendingBytesMax: settings.pendingBytesMax,
      now,
      cache: this.#cache,
      rightOfWay: this.#rightOfWay,
      onRollback: () => {
        for (const partition of logs.partitions()) partition.load();
      },
      onFatal: (error) => {
        for (const partition of logs.partitions()) partition.wake();
        options.onFatal?.(error);
      },
    });
    const parts = { files, logs, committer: this.#committer, now };
    this.#retention = new Retention(parts, settings.retentionIntervalMs);
  }

  profile(): Promise<DurabilityProfile> {
    return Promise.resolve({
      store: 'embedded',
      durability: 'fsync',
      evidence: [
        `LMDB keeps the store in ${this.#dir}, opened by this process with synchronous commits.`,
        'Each commit writes its pages, syncs the file (fdatasync), and then writes and syncs the ' +
          'page that makes it valid.',
        'A receipt is given only when the commit that has its records has returned; after a sync ' +
          'that failed, the process gives no receipt any more and ends.',
      ],
      warnings: [],
      recordBytesMax: RECORD_BYTES_MAX,
    });
  }

  async ensureLog(spec: LogSpec): Promise<LogInfo> {
    checkLogSpec(spec);
    await this.#commit(0, (commit) => this.#logs.ensure(commit, spec));
    return this.#read(() => infoOf(this.#logs.get(spec.name)));
  }

  logInfo(name: string): Promise<LogInfo | undefined> {
    return this.#read(() => {
      const log = this.#logs.find(name);
      return log === undefined ? undefined : infoOf(log);
    });
  }

  listLogs(): Promise<LogInfo[]> {
    return this.#read(() => Array.from(this.#logs.all(), infoOf));
  }

  async append(batch: AppendBatch): Promise<AppendReceipt> {
    const bytes = checkAppendBatch(batch);
    const partition = this.#partition(batch.log, batch.partition);
    let receipt: AppendReceipt | undefined;
    const apply = (commit: Commit) => {
      receipt = applyAppend(commit, partition, batch);
    };
    await this.#commit(bytes, apply, true);
    const { retentionBytes } = partition.spec;
    if (retentionBytes > 0 && partition.bytes > retentionBytes) this.#retention.retain(partition);
    return receipt as AppendReceipt;
  }

  read(options: ReadOptions): AsyncIterable<ReadItem> {
    this.#checkOpen();
    const partition = this.#partition(options.log, options.partition);
    const closed = () => this.#committer.refusal !== undefined;
    const source = {
      partition,
      cache: this.#cache,
      rightOfWay: this.#rightOfWay,
      dir: this.#dir,
      closed,
    };
    return readPartition(source, options);
  }

  async commitCursors(commits: readonly CursorCommit[]): Promise<number[]> {
    const keyed = commits.map(({ id, cursor }) => ({ key: this.#cursorKey(id), id, cursor }));
    const fenced: number[] = [];
    await this.#commit(256 * commits.length, (commit) => {
      for (const [index, { key, id, cursor }] of keyed.entries()) {
        const stored = commit.get('cursors', key);
        if (stored !== undefined && decodeCursor(stored, id).epoch > cursor.epoch)
          fenced.push(index);
        else commit.put('cursors', key, encodeCursor(cursor));
      }
    });
    return fenced;
  }

  loadCursor(id: CursorId): Promise<Cursor | undefined> {
    return this.#read(() => {
      const stored = this.#files.cursors.getBinary(this.#cursorKey(id));
      return stored === undefined ? undefined : decodeCursor(stored, id);
    });
  }

  async deleteCursor(id: CursorId): Promise<void> {
    const key = this.#cursorKey(id);
    await this.#commit(0, (commit) => commit.remove('cursors', key));
  }

  listCursors(name: string): Promise<CursorId[]> {
    return this.#read(() =>
      this.#logs.get(name).partitions.flatMap(({ id, index: partition }) =>
        Array.from(namedEntries(this.#files.cursors, id), ([subscription]) => ({
          log: name,
          partition,
          subscription,
        })),
      ),
    );
  }

  producerSequence(log: string, partition: number, producer: string): Promise<number> {
    return this.#read(() => {
      const { id } = this.#partition(log, partition);
      return readSequence(this.#files.producers.getBinary(namedKey(id, producer)), producer);
    });
  }

  async trim(log: string, index: number, before: number): Promise<void> {
    if (!Number.isSafeInteger(before) || before < 0) {
      throw invalid('before', `${before} is not a position`);
    }
    const partition = this.#partition(log, index);
    let more = true;
    while (more) {
      await this.#commit(0, (commit) => {
        more = trimStep(commit, this.#files, partition, Math.min(before, partition.durable + 1));
      });
    }
  }

  queues(): StoreQueues {
    return { pendingBytes: this.#committer.pendingBytes };
  }

  async ping(): Promise<void> {
    await this.#read(() => this.#files.env.getStats());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#retention.stop();
    await this.#committer.close(storeClosed());
    for (const partition of this.#logs.partitions()) partition.wake();
    await this.#files.env.close();
    this.#unlock();
  }

  #commit(bytes: number, apply: (commit: Commit) => void, append = false): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#committer.submit({ bytes, append, apply, done: resolve, fail: reject });
    });
  }

  #read<T>(read: () => T): Promise<T> {
    try {
      this.#checkOpen();
      return Promise.resolve(read());
    } catch (error) {
      return Promise.reject(fromLmdb(error, this.#dir));
    }
  }

  #checkOpen(): void {
    if (this.#committer.refusal !== undefined) throw this.#committer.refusal;
  }

  #partition(name: string, index: number): Partition {
    this.#checkOpen();
    return this.#logs.partition(name, index);
  }

  #cursorKey(id: CursorId): Buffer {
    checkCursorId(id);
    return namedKey(this.#partition(id.log, id.partition).id, id.subscription);
  }
}
