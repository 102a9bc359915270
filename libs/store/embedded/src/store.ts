import { mkdirSync } from 'node:fs';
import { invalid, MeshError } from '@eventmesh/errors';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogName,
  checkLogSpec,
  decodeCursor,
  encodeCursor,
  PARTITIONS_MAX,
  RECORD_BYTES_MAX,
  seal,
  storeClosed,
  unknownLog,
  unknownPartition,
  unseal,
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
import { Committer, writeTrimMark, type Commit } from './commit.ts';
import { blockKey, closeDamaged, namedEntries, namedKey, openFiles, type Files } from './files.ts';
import { fromLmdb } from './lmdb-errors.ts';
import { lockFolder } from './lock-file.ts';
import { DEFAULT_EMBEDDED_OPTIONS, type EmbeddedStoreOptions } from './options.ts';
import { Partition } from './partition.ts';
import { readPartition } from './reader.ts';
import { expiredUpTo, overflowUpTo } from './retention.ts';
import { RightOfWay } from './right-of-way.ts';
import { checkOwners, scanAll } from './scan.ts';
import { TailCache } from './tail-cache.ts';

interface Log {
  readonly id: number;
  spec: LogSpec;
  readonly partitions: Partition[];
}

/** Blocks that one commit of a trim removes at most, so that appends are not held up. */
const TRIM_BLOCKS_MAX = 256;

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
  readonly #now: () => number;
  readonly #logs = new Map<string, Log>();
  /** Of all logs, also of one whose first commit is still in flight. */
  readonly #logIds = new Map<string, number>();
  readonly #retention: NodeJS.Timeout;
  #closing: Promise<void> | undefined;

  constructor(files: Files, options: EmbeddedStoreOptions, unlock: () => void) {
    const settings = { ...DEFAULT_EMBEDDED_OPTIONS, ...options };
    this.#files = files;
    this.#dir = options.dir;
    this.#unlock = unlock;
    this.#now = options.now ?? Date.now;
    this.#cache = new TailCache(settings.tailCacheBytes);
    for (const { value } of files.logs.getRange({})) this.#openLog(value);
    const partitions = [...this.#logs.values()].flatMap((log) => log.partitions);
    checkOwners(files, partitions);
    if (files.padding !== undefined) scanAll(files, partitions);
    this.#committer = new Committer(files, {
      dir: this.#dir,
      pendingBytesMax: settings.pendingBytesMax,
      now: this.#now,
      cache: this.#cache,
      rightOfWay: this.#rightOfWay,
      onRollback: () => this.#eachPartition((partition) => partition.load()),
      onFatal: (error) => {
        this.#eachPartition((partition) => partition.wake());
        options.onFatal?.(error);
      },
    });
    this.#retention = setInterval(() => this.#expire(), settings.retentionIntervalMs);
    this.#retention.unref();
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
    await this.#commit(0, (commit) => {
      const known = this.#logs.get(spec.name);
      if (known !== undefined && known.spec.partitions > spec.partitions) {
        throw new MeshError(
          'FailedPrecondition',
          `log "${spec.name}" has ${known.spec.partitions} partitions; it may grow, never shrink`,
          { field: 'partitions', reason: 'PARTITIONS_SHRINK' },
        );
      }
      const id = this.#logIds.get(spec.name) ?? this.#logIds.size + 1;
      this.#logIds.set(spec.name, id);
      const stored = seal({ id, spec: { ...spec } });
      commit.put('logs', Buffer.from(spec.name), stored);
      commit.onDone(() => this.#openLog(stored));
    });
    return this.#info(this.#log(spec.name));
  }

  logInfo(name: string): Promise<LogInfo | undefined> {
    return this.#read(() => {
      const log = this.#logs.get(checkLogName(name));
      return log === undefined ? undefined : this.#info(log);
    });
  }

  listLogs(): Promise<LogInfo[]> {
    return this.#read(() => [...this.#logs.values()].map((log) => this.#info(log)));
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
    if (retentionBytes > 0 && partition.bytes > retentionBytes) this.#retain(partition);
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
      this.#log(name).partitions.flatMap(({ id, index: partition }) =>
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
        more = this.#trimStep(commit, partition, Math.min(before, partition.durable + 1));
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
    clearInterval(this.#retention);
    await this.#committer.close(storeClosed());
    this.#eachPartition((partition) => partition.wake());
    await this.#files.env.close();
    this.#unlock();
  }

  /** Removes whole blocks below a position, a bounded number; tells whether there are more. */
  #trimStep(commit: Commit, partition: Partition, before: number): boolean {
    const keys = [
      ...this.#files.blocks.getKeys({
        start: blockKey(partition.id, 0),
        end: blockKey(partition.id, before),
        limit: TRIM_BLOCKS_MAX + 1,
      }),
    ];
    // A block ends where the next one starts; that of the last key is only known to the tail.
    const ends = keys.map((_key, at) => {
      const following = keys[at + 1];
      return following === undefined ? partition.endOfBlock(keys[at]) : positionOf(following) - 1;
    });
    const gone = keys.filter((_key, at) => at < TRIM_BLOCKS_MAX && (ends[at] ?? 0) < before);
    for (const key of gone) commit.remove('blocks', key);
    partition.first = Math.max(partition.first, before);
    writeTrimMark(commit, partition);
    commit.onDone(() => {
      partition.oldest = partition.readOldest();
    });
    return gone.length === TRIM_BLOCKS_MAX;
  }

  /** Retention by age of all partitions. */
  #expire(): void {
    this.#eachPartition((partition) => {
      const before = expiredUpTo(partition, this.#now());
      if (before > partition.first) this.#trimQuietly(partition, before);
    });
  }

  /** Retention by bytes of one partition, after an append. */
  #retain(partition: Partition): void {
    const before = overflowUpTo(partition);
    if (before > partition.first) this.#trimQuietly(partition, before);
  }

  /** A step of retention; its failure is that of the appends beside it, which report it. */
  #trimQuietly(partition: Partition, before: number): void {
    this.#committer.submit({
      bytes: 0,
      append: false,
      apply: (commit) => {
        this.#trimStep(commit, partition, before);
      },
      done: () => undefined,
      fail: () => undefined,
    });
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

  #openLog(stored: Buffer): void {
    const { id, spec } = unseal<{ id: number; spec: LogSpec }>(stored, 'the spec of a log');
    const log = this.#logs.get(spec.name) ?? { id, spec, partitions: [] };
    this.#logs.set(spec.name, log);
    this.#logIds.set(spec.name, id);
    const windowChanged = log.spec.duplicateWindow !== spec.duplicateWindow;
    log.spec = spec;
    for (const partition of log.partitions) {
      partition.spec = spec;
      if (windowChanged) partition.forgetWindow();
    }
    for (let index = log.partitions.length; index < spec.partitions; index++) {
      const partitionId = id * PARTITIONS_MAX + index;
      log.partitions.push(new Partition(this.#files, partitionId, index, spec));
    }
  }

  #info(log: Log): LogInfo {
    return { spec: log.spec, partitions: log.partitions.map(({ info }) => info) };
  }

  #log(name: string): Log {
    this.#checkOpen();
    const log = this.#logs.get(checkLogName(name));
    if (log === undefined) throw unknownLog(name);
    return log;
  }

  #partition(name: string, index: number): Partition {
    const log = this.#log(name);
    const partition = log.partitions[index];
    if (partition === undefined) throw unknownPartition(name, index, log.partitions.length);
    return partition;
  }

  #cursorKey(id: CursorId): Buffer {
    checkCursorId(id);
    return namedKey(this.#partition(id.log, id.partition).id, id.subscription);
  }

  #eachPartition(visit: (partition: Partition) => void): void {
    for (const { partitions } of this.#logs.values()) partitions.forEach(visit);
  }
}

const positionOf = (key: Uint8Array): number => Buffer.from(key).readUIntBE(4, 6);
