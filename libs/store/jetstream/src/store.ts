import { MeshError, invalid } from '@eventmesh/errors';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogName,
  checkLogSpec,
  RECORD_BYTES_MAX,
  unknownLog,
  unknownPartition,
  type AppendBatch,
  type AppendReceipt,
  type Cursor,
  type CursorCommit,
  type CursorId,
  type DurabilityClass,
  type DurabilityProfile,
  type EventStore,
  type LogInfo,
  type LogSpec,
  type ReadItem,
  type ReadOptions,
  type StoreCapability,
  type StoreQueues,
} from '@eventmesh/store-api';
import { Connection, fromJetStream } from './connection.ts';
import { Marks, type Place } from './marks.ts';
import { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';
import { Pending } from './pending.ts';
import { PartitionWriter } from './partition-writer.ts';
import { verifyProfile } from './profile.ts';
import { readStream } from './reader.ts';
import { Servers } from './servers.ts';
import { StateBucket } from './state.ts';
import { baseSubject, ensureStream, partitionInfo, streamConfig, streamName } from './streams.ts';

type Settings = Required<Omit<JetStreamStoreOptions, 'credentials'>>;

/**
 * Opens a store on a NATS cluster. It reconnects for ever; while there is no connection, calls
 * fail as Unavailable.
 *
 * @throws MeshError Unavailable when the cluster does not answer in time, DataLoss when it has less
 *   than was acknowledged: nothing is repaired by itself.
 */
export async function openJetStreamStore(options: JetStreamStoreOptions): Promise<EventStore> {
  const settings = { ...DEFAULT_JETSTREAM_OPTIONS, ...options };
  if (![1, 3, 5].includes(settings.replicas)) {
    throw invalid('replicas', `${settings.replicas} is not 1, 3 or 5`);
  }
  if (!/^[A-Za-z0-9_]{1,32}$/.test(settings.prefix)) {
    throw invalid('prefix', `"${settings.prefix}" is not 1 to 32 letters, digits and _`);
  }
  const connection = await Connection.open(options);
  try {
    const { prefix, replicas } = settings;
    const state = await StateBucket.open(connection, prefix, replicas);
    const marks = await Marks.open(connection, prefix, replicas, state);
    const store = new JetStreamStore(connection, { state, marks }, settings);
    await store.check();
    await store.profile();
    return store;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

interface Log {
  spec: LogSpec;
  readonly writers: PartitionWriter[];
}

class JetStreamStore implements EventStore {
  readonly capabilities: ReadonlySet<StoreCapability> = new Set<StoreCapability>([
    'topic-filtered-read',
    'time-seek',
    'retention',
  ]);
  readonly #connection: Connection;
  readonly #state: StateBucket;
  readonly #marks: Marks;
  readonly #settings: Settings;
  readonly #servers: Servers;
  readonly #pending: Pending;
  /** Logs that were asked for since open, and those being looked up. */
  readonly #logs = new Map<string, Promise<Log>>();
  #durability: DurabilityClass = 'memory';
  #recordBytesMax = RECORD_BYTES_MAX;
  #closing: Promise<void> | undefined;

  constructor(
    connection: Connection,
    { state, marks }: { readonly state: StateBucket; readonly marks: Marks },
    settings: Settings,
  ) {
    this.#connection = connection;
    this.#state = state;
    this.#marks = marks;
    this.#settings = settings;
    this.#servers = new Servers(connection, settings.monitorUrls);
    this.#pending = new Pending(settings.pendingBytesMax);
  }

  /** Whether everything is there that was acknowledged. @throws MeshError DataLoss. */
  async check(): Promise<void> {
    await this.#marks.checkState();
    for (const name of await this.#state.logNames()) {
      const log = await this.#log(name);
      for (let index = 0; index < log.spec.partitions; index++) {
        await this.#marks.check(this.#place(name, index));
      }
    }
  }

  async profile(): Promise<DurabilityProfile> {
    this.#checkOpen();
    const { prefix, replicas } = this.#settings;
    const logs = await Promise.all(this.#logs.values());
    const streams = logs.flatMap(({ spec }) =>
      Array.from({ length: spec.partitions }, (_, index) => streamName(prefix, spec.name, index)),
    );
    const profile = await verifyProfile(this.#connection, {
      replicas,
      servers: this.#servers,
      streams: [`KV_${prefix}-state`, `KV_${prefix}-marks`, ...streams],
      probe: () => this.#state.probe(),
    });
    this.#durability = profile.durability;
    this.#recordBytesMax = profile.recordBytesMax;
    return profile;
  }

  async ensureLog(spec: LogSpec): Promise<LogInfo> {
    checkLogSpec(spec);
    this.#checkOpen();
    const { prefix, replicas } = this.#settings;
    await this.#state.changeLogSpec(spec.name, (stored) => {
      if (stored !== undefined && stored.partitions > spec.partitions) {
        throw new MeshError(
          'FailedPrecondition',
          `log "${spec.name}" has ${stored.partitions} partitions; it may grow, never shrink`,
          { field: 'partitions', reason: 'PARTITIONS_SHRINK' },
        );
      }
      return { ...spec };
    });
    for (let index = 0; index < spec.partitions; index++) {
      // A stream that is gone must not be made anew, as if nothing had been in it.
      await this.#marks.check(this.#place(spec.name, index));
      await ensureStream(this.#connection, streamConfig(prefix, spec, index, replicas));
    }
    const log = await this.#open(spec.name, { ...spec });
    const windowChanged = log.spec.duplicateWindow !== spec.duplicateWindow;
    log.spec = { ...spec };
    for (const writer of log.writers) {
      writer.spec = log.spec;
      if (windowChanged) await writer.reload();
    }
    while (log.writers.length < spec.partitions)
      log.writers.push(this.#writer(log, log.writers.length));
    return this.#info(log);
  }

  async logInfo(name: string): Promise<LogInfo | undefined> {
    checkLogName(name);
    this.#checkOpen();
    try {
      return await this.#info(await this.#log(name));
    } catch (error) {
      if (error instanceof MeshError && error.code === 'NotFound') return undefined;
      throw error;
    }
  }

  async listLogs(): Promise<LogInfo[]> {
    this.#checkOpen();
    const infos: LogInfo[] = [];
    for (const name of await this.#state.logNames()) {
      const info = await this.logInfo(name);
      if (info !== undefined) infos.push(info);
    }
    return infos;
  }

  append(batch: AppendBatch): Promise<AppendReceipt> {
    const opened = this.#opened.get(batch.log);
    // Without a turn of the event loop in between, calls stay in order.
    if (opened !== undefined) return this.#append(opened, batch);
    return this.#log(batch.log).then((log) => this.#append(log, batch));
  }

  async *read(options: ReadOptions): AsyncGenerator<ReadItem> {
    this.#checkOpen();
    const { prefix } = this.#settings;
    const log = await this.#log(options.log);
    this.#checkPartition(log, options.partition);
    const place = this.#place(options.log, options.partition);
    const base = baseSubject(prefix, options.log, options.partition);
    yield* readStream({ connection: this.#connection, marks: this.#marks, place, base }, options);
  }

  async commitCursors(commits: readonly CursorCommit[]): Promise<number[]> {
    this.#checkOpen();
    for (const { id } of commits) await this.#checkCursor(id);
    const stored = await Promise.all(commits.map((commit) => this.#state.commitCursor(commit)));
    return stored.flatMap((taken, index) => (taken ? [] : [index]));
  }

  async loadCursor(id: CursorId): Promise<Cursor | undefined> {
    await this.#checkCursor(id);
    return this.#state.loadCursor(id);
  }

  async deleteCursor(id: CursorId): Promise<void> {
    await this.#checkCursor(id);
    await this.#state.deleteCursor(id);
  }

  async listCursors(name: string): Promise<CursorId[]> {
    const log = await this.#log(name);
    const ids = await this.#state.cursors(name);
    return ids
      .filter(({ partition }) => log.writers[partition] !== undefined)
      .sort((a, b) => a.partition - b.partition || compare(a.subscription, b.subscription));
  }

  async producerSequence(name: string, partition: number, producer: string): Promise<number> {
    const log = await this.#log(name);
    return this.#checkPartition(log, partition).sequence(producer);
  }

  async trim(name: string, partition: number, before: number): Promise<void> {
    if (!Number.isSafeInteger(before) || before < 0) {
      throw invalid('before', `${before} is not a position`);
    }
    const log = await this.#log(name);
    const writer = this.#checkPartition(log, partition);
    if (before <= 1) return;
    // A producer's sequence must outlive the records that carry it.
    await writer.saveProducers();
    try {
      await this.#connection.jsm.streams.purge(streamName(this.#settings.prefix, name, partition), {
        seq: before,
      });
    } catch (error) {
      throw fromJetStream(error);
    }
  }

  queues(): StoreQueues {
    const writers = [...this.#opened.values()].flatMap((log) => log.writers);
    return {
      pendingBytes: this.#pending.bytes,
      inFlight: Math.max(0, ...writers.map(({ inFlight }) => inFlight)),
      readAheadBytes: Math.max(0, ...[...this.#connection.pulls].map(({ bytes }) => bytes)),
    };
  }

  async ping(): Promise<void> {
    this.#checkOpen();
    try {
      await this.#connection.jsm.getAccountInfo();
    } catch (error) {
      throw fromJetStream(error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const { writers } of this.#opened.values()) {
      for (const writer of writers) {
        await writer.settled();
        // Only makes the next open faster; the tail has it too.
        if (this.#connection.up && writer.loaded)
          await writer.saveProducers().catch(() => undefined);
      }
    }
    // The marks are as good as the last ones that could be put down.
    await this.#marks.close().catch(() => undefined);
    await this.#connection.close();
  }

  readonly #opened = new Map<string, Log>();

  async #append(log: Log, batch: AppendBatch): Promise<AppendReceipt> {
    this.#checkOpen();
    checkAppendBatch(batch, this.#recordBytesMax);
    return this.#checkPartition(log, batch.partition).append(batch);
  }

  async #log(name: string): Promise<Log> {
    this.#checkOpen();
    checkLogName(name);
    return this.#logs.get(name) ?? this.#open(name);
  }

  /** Finds a log by its stored spec, or by the one just stored. */
  #open(name: string, given?: LogSpec): Promise<Log> {
    const known = this.#logs.get(name);
    if (known !== undefined) return known;
    const opening = (async () => {
      const spec = given ?? (await this.#state.logSpec(name));
      if (spec === undefined) throw unknownLog(name);
      const log: Log = { spec, writers: [] };
      for (let index = 0; index < spec.partitions; index++)
        log.writers.push(this.#writer(log, index));
      this.#opened.set(name, log);
      return log;
    })();
    this.#logs.set(name, opening);
    opening.catch(() => this.#logs.delete(name));
    return opening;
  }

  #place(log: string, partition: number): Place {
    return { stream: streamName(this.#settings.prefix, log, partition), log, partition };
  }

  #writer({ spec }: Log, partition: number): PartitionWriter {
    const { prefix } = this.#settings;
    return new PartitionWriter({
      connection: this.#connection,
      state: this.#state,
      marks: this.#marks,
      place: this.#place(spec.name, partition),
      base: baseSubject(prefix, spec.name, partition),
      spec,
      durability: () => this.#durability,
      limits: this.#settings,
      pending: this.#pending,
    });
  }

  async #info({ spec }: Log): Promise<LogInfo> {
    const partitions = await Promise.all(
      Array.from({ length: spec.partitions }, (_, index) =>
        partitionInfo(this.#connection, streamName(this.#settings.prefix, spec.name, index), index),
      ),
    );
    return { spec, partitions };
  }

  async #checkCursor(id: CursorId): Promise<void> {
    checkCursorId(id);
    this.#checkPartition(await this.#log(id.log), id.partition);
  }

  #checkPartition(log: Log, partition: number): PartitionWriter {
    const writer = log.writers[partition];
    if (writer === undefined) {
      throw unknownPartition(log.spec.name, partition, log.writers.length);
    }
    return writer;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new MeshError('Unavailable', 'the store is closed');
    this.#connection.checkUp();
  }
}

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
