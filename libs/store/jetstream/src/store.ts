import { MeshError, invalid } from '@eventmesh/errors';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogSpec,
  RECORD_BYTES_MAX,
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
import { fromJetStream } from './api-error.ts';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';
import { Logs, writerOf, type Log } from './logs.ts';
import type { Marks } from './marks.ts';
import type { JetStreamStoreOptions } from './options.ts';
import { Pending } from './pending.ts';
import { verifyProfile } from './profile.ts';
import { readStream } from './reader.ts';
import { Servers } from './servers.ts';
import type { StateBucket } from './state.ts';

type Settings = Required<Omit<JetStreamStoreOptions, 'credentials'>>;

/** The store over its parts: state and marks in buckets, a stream for each partition. */
export class JetStreamStore implements EventStore {
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
  readonly #logs: Logs;
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
    const durability = () => this.#durability;
    const pending = this.#pending;
    this.#logs = new Logs({ connection, state, marks, pending, durability, settings });
  }

  /** Whether everything is there that was acknowledged. @throws MeshError DataLoss. */
  async check(): Promise<void> {
    await this.#marks.checkState();
    for (const name of await this.#state.logNames()) {
      const log = await this.#log(name);
      for (let index = 0; index < log.spec.partitions; index++) {
        await this.#marks.check(this.#logs.place(name, index));
      }
    }
  }

  async profile(): Promise<DurabilityProfile> {
    this.#checkOpen();
    const { prefix, replicas } = this.#settings;
    const profile = await verifyProfile(this.#connection, {
      replicas,
      servers: this.#servers,
      streams: [`KV_${prefix}-state`, `KV_${prefix}-marks`, ...(await this.#logs.streams())],
      probe: () => this.#state.probe(),
    });
    this.#durability = profile.durability;
    this.#recordBytesMax = profile.recordBytesMax;
    return profile;
  }

  async ensureLog(spec: LogSpec): Promise<LogInfo> {
    checkLogSpec(spec);
    this.#checkOpen();
    return this.#logs.info(await this.#logs.ensure(spec));
  }

  async logInfo(name: string): Promise<LogInfo | undefined> {
    try {
      return await this.#logs.info(await this.#log(name));
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
    const opened = this.#logs.opened.get(batch.log);
    // Without a turn of the event loop in between, calls stay in order.
    if (opened !== undefined) return this.#append(opened, batch);
    return this.#log(batch.log).then((log) => this.#append(log, batch));
  }

  async *read(options: ReadOptions): AsyncGenerator<ReadItem> {
    this.#checkOpen();
    const { log: name, partition } = options;
    writerOf(await this.#log(name), partition);
    const source = {
      connection: this.#connection,
      marks: this.#marks,
      place: this.#logs.place(name, partition),
      base: this.#logs.base(name, partition),
    };
    yield* readStream(source, options);
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
    return writerOf(await this.#log(name), partition).sequence(producer);
  }

  async trim(name: string, partition: number, before: number): Promise<void> {
    if (!Number.isSafeInteger(before) || before < 0) {
      throw invalid('before', `${before} is not a position`);
    }
    const writer = writerOf(await this.#log(name), partition);
    if (before <= 1) return;
    // A producer's sequence must outlive the records that carry it.
    await writer.saveProducers();
    const { stream } = this.#logs.place(name, partition);
    const { streams } = this.#connection.jsm;
    await ask(this.#connection, () => streams.purge(stream, { seq: before }));
  }

  queues(): StoreQueues {
    const writers = [...this.#logs.opened.values()].flatMap((log) => log.writers);
    return {
      pendingBytes: this.#pending.bytes,
      inFlight: Math.max(0, ...writers.map(({ inFlight }) => inFlight)),
      readAheadBytes: Math.max(0, ...[...this.#connection.pulls].map(({ bytes }) => bytes)),
    };
  }

  async ping(): Promise<void> {
    this.#checkOpen();
    // Once: whoever asks wants to know how it is now.
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
    const writers = [...this.#logs.opened.values()].flatMap((log) => log.writers);
    await Promise.all(
      writers.map(async (writer) => {
        await writer.settled();
        // Only makes the next open faster; the tail has it too.
        if (this.#connection.up && writer.loaded)
          await writer.saveProducers().catch(() => undefined);
      }),
    );
    // The marks are as good as the last ones that could be put down.
    await this.#marks.close().catch(() => undefined);
    await this.#connection.close();
  }

  async #append(log: Log, batch: AppendBatch): Promise<AppendReceipt> {
    this.#checkOpen();
    checkAppendBatch(batch, this.#recordBytesMax);
    return writerOf(log, batch.partition).append(batch);
  }

  async #log(name: string): Promise<Log> {
    this.#checkOpen();
    return this.#logs.get(name);
  }

  async #checkCursor(id: CursorId): Promise<void> {
    checkCursorId(id);
    writerOf(await this.#log(id.log), id.partition);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new MeshError('Unavailable', 'the store is closed');
    this.#connection.checkUp();
  }
}

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
