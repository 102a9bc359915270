import { invalid, MeshError } from '@eventmesh/errors';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogName,
  checkLogSpec,
  decodeCursor,
  encodeCursor,
  outOfSequence,
  PARTITIONS_MAX,
  RECORD_BYTES_MAX,
  storeClosed,
  unknownLog,
  unknownPartition,
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
} from '@eventmesh/store-api';
import { Committer, writeTrimMark, type Commit } from './commit.ts';
import { blockKey, namedKey, openFiles, type Files } from './files.ts';
import { lockFolder } from './lock-file.ts';
import { DEFAULT_EMBEDDED_OPTIONS, type EmbeddedStoreOptions } from './options.ts';
import { Partition } from './partition.ts';
import { readPartition } from './reader.ts';
import { expiredUpTo, overflowUpTo } from './retention.ts';
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
 * @throws MeshError FailedPrecondition when another process has it, DataLoss when the newest block
 *   of a partition is damaged: nothing is repaired by itself.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<EventStore> {
  const files = openFiles(options.dir);
  let unlock: (() => void) | undefined;
  try {
    unlock = lockFolder(options.dir);
    return new EmbeddedStore(files, options, unlock);
  } catch (error) {
    await files.env.close();
    unlock?.();
    throw error;
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
    this.#committer = new Committer(files, {
      pendingBytesMax: settings.pendingBytesMax,
      now: this.#now,
      cache: this.#cache,
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
        `LMDB in ${this.#dir}, opened with synchronous commits: data and meta page are synced`,
        'a receipt is given after the commit that has the record',
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
      const stored = Buffer.from(JSON.stringify({ id, spec: { ...spec } }));
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
    await this.#commit(bytes, (commit) => {
      receipt = applyAppend(commit, partition, batch);
    });
    const { retentionBytes } = partition.spec;
    if (retentionBytes > 0 && partition.bytes > retentionBytes) this.#retain(partition);
    return receipt as AppendReceipt;
  }

  read(options: ReadOptions): AsyncIterable<ReadItem> {
    this.#checkOpen();
    const partition = this.#partition(options.log, options.partition);
    const closed = () => this.#committer.refusal !== undefined;
    return readPartition({ partition, cache: this.#cache, closed }, options);
  }

  async commitCursors(commits: readonly CursorCommit[]): Promise<number[]> {
    const keyed = commits.map(({ id, cursor }) => ({ key: this.#cursorKey(id), cursor }));
    const fenced: number[] = [];
    await this.#commit(256 * commits.length, (commit) => {
      for (const [index, { key, cursor }] of keyed.entries()) {
        const stored = commit.get('cursors', key);
        if (stored !== undefined && decodeCursor(stored).epoch > cursor.epoch) fenced.push(index);
        else commit.put('cursors', key, encodeCursor(cursor));
      }
    });
    return fenced;
  }

  loadCursor(id: CursorId): Promise<Cursor | undefined> {
    return this.#read(() => {
      const stored = this.#files.cursors.getBinary(this.#cursorKey(id));
      return stored === undefined ? undefined : decodeCursor(stored);
    });
  }

  async deleteCursor(id: CursorId): Promise<void> {
    const key = this.#cursorKey(id);
    await this.#commit(0, (commit) => commit.remove('cursors', key));
  }

  producerSequence(log: string, partition: number, producer: string): Promise<number> {
    return this.#read(() => {
      const { id } = this.#partition(log, partition);
      return readSequence(this.#files.producers.getBinary(namedKey(id, producer)));
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
      apply: (commit) => {
        this.#trimStep(commit, partition, before);
      },
      done: () => undefined,
      fail: () => undefined,
    });
  }

  #commit(bytes: number, apply: (commit: Commit) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#committer.submit({ bytes, apply, done: resolve, fail: reject });
    });
  }

  #read<T>(read: () => T): Promise<T> {
    try {
      this.#checkOpen();
      return Promise.resolve(read());
    } catch (error) {
      return Promise.reject(MeshError.from(error));
    }
  }

  #checkOpen(): void {
    if (this.#committer.refusal !== undefined) throw this.#committer.refusal;
  }

  #openLog(stored: Buffer): void {
    const { id, spec } = JSON.parse(stored.toString()) as { id: number; spec: LogSpec };
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

const readSequence = (stored: Buffer | undefined): number =>
  stored === undefined ? 0 : Number(stored.toString());

function applyAppend(commit: Commit, partition: Partition, batch: AppendBatch): AppendReceipt {
  const { records, producer } = batch;
  const { window } = partition;
  const positions = new Array<number>(records.length);
  const duplicates: number[] = [];
  if (producer !== undefined) {
    const key = namedKey(partition.id, producer.id);
    const stored = readSequence(commit.get('producers', key));
    if (producer.last <= stored) {
      for (const [index, { dedupKey = '' }] of records.entries()) {
        positions[index] = window.find(dedupKey) ?? 0;
        duplicates.push(index);
      }
      return { positions, duplicates, durability: 'fsync' };
    }
    if (producer.previous !== stored) throw outOfSequence(producer, stored);
    commit.put('producers', key, Buffer.from(String(producer.last)));
  }
  for (let index = 0; index < records.length; index++) {
    const { bytes, dedupKey = '' } = records[index] as (typeof records)[number];
    const known = dedupKey === '' ? undefined : window.find(dedupKey);
    if (known !== undefined) {
      positions[index] = known;
      duplicates.push(index);
      continue;
    }
    const position = commit.append(partition, bytes, dedupKey);
    if (dedupKey !== '') window.add(dedupKey, position);
    positions[index] = position;
  }
  return { positions, duplicates, durability: 'fsync' };
}
