import { MeshError, invalid } from '@eventmesh/errors';
import { EventStoreService } from '@eventmesh/proto-gen/store';
import {
  PAGE_SIZE_MAX,
  createClient,
  everyEntry,
  type Client,
  type Transport,
} from '@eventmesh/rpc';
import {
  checkAppendBatch,
  checkCursorId,
  checkLogName,
  checkLogSpec,
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
import { pause } from '@eventmesh/time';
import { AppendStream } from './append-stream.ts';
import { CursorCommits } from './cursor-commits.ts';
import { DEFAULT_REMOTE_OPTIONS, type RemoteStoreOptions } from './options.ts';
import { readRemote } from './read-stream.ts';
import {
  capabilitiesFromWire,
  cursorFromWire,
  cursorIdFromWire,
  durabilityFromWire,
  logFromWire,
  specToWire,
} from './wire.ts';

const RETRY = { idempotent: true } as const;
const RETRY_PAUSE_MS = 200;

/**
 * Opens the store behind a store-gateway; its capabilities and profile are the gateway's.
 *
 * @throws MeshError Unavailable when the gateway does not answer in time.
 */
export async function openRemoteStore(options: RemoteStoreOptions): Promise<EventStore> {
  const settings = { ...DEFAULT_REMOTE_OPTIONS, ...options };
  const client = createClient(EventStoreService, options.transport);
  const deadline = Date.now() + settings.openTimeoutMs;
  for (;;) {
    try {
      const reply = await client.getProfile({}, { timeoutMs: Math.max(1, deadline - Date.now()) });
      return new RemoteStore(settings, client, {
        capabilities: capabilitiesFromWire(reply.capabilities),
        recordBytesMax: Number(reply.recordBytesMax),
      });
    } catch (error) {
      const retry = error instanceof MeshError && error.code === 'Unavailable';
      if (!retry || Date.now() + RETRY_PAUSE_MS > deadline) {
        options.transport.close();
        throw error;
      }
      await pause(RETRY_PAUSE_MS);
    }
  }
}

interface Facts {
  readonly capabilities: ReadonlySet<StoreCapability>;
  readonly recordBytesMax: number;
}

class RemoteStore implements EventStore {
  readonly capabilities: ReadonlySet<StoreCapability>;
  readonly #transport: Transport;
  readonly #client: Client<typeof EventStoreService>;
  readonly #appends: AppendStream;
  readonly #cursors: CursorCommits;
  readonly #recordBytesMax: number;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(
    settings: Required<RemoteStoreOptions>,
    client: Client<typeof EventStoreService>,
    facts: Facts,
  ) {
    this.#transport = settings.transport;
    this.#client = client;
    this.#appends = new AppendStream(client, settings);
    this.#cursors = new CursorCommits(client, settings.waitingCursorsMax);
    this.capabilities = facts.capabilities;
    this.#recordBytesMax = facts.recordBytesMax;
  }

  async profile(): Promise<DurabilityProfile> {
    this.#checkOpen();
    const reply = await this.#client.getProfile({}, RETRY);
    return {
      store: reply.store,
      durability: durabilityFromWire(reply.durability),
      evidence: reply.evidence,
      warnings: reply.warnings,
      recordBytesMax: Number(reply.recordBytesMax),
    };
  }

  async ensureLog(spec: LogSpec): Promise<LogInfo> {
    this.#checkOpen();
    checkLogSpec(spec);
    return logFromWire((await this.#client.ensureLog({ spec: specToWire(spec) }, RETRY)).log);
  }

  async logInfo(name: string): Promise<LogInfo | undefined> {
    this.#checkOpen();
    checkLogName(name);
    try {
      return logFromWire((await this.#client.getLog({ name }, RETRY)).log);
    } catch (error) {
      if (error instanceof MeshError && error.code === 'NotFound') return undefined;
      throw error;
    }
  }

  async listLogs(): Promise<LogInfo[]> {
    this.#checkOpen();
    const pages = everyEntry(async (pageToken) => {
      const { logs, nextPageToken } = await this.#client.listLogs(
        { pageSize: PAGE_SIZE_MAX, pageToken },
        RETRY,
      );
      return { entries: logs, nextPageToken };
    });
    const found: LogInfo[] = [];
    for await (const log of pages) found.push(logFromWire(log));
    return found;
  }

  async append(batch: AppendBatch): Promise<AppendReceipt> {
    this.#checkOpen();
    const bytes = checkAppendBatch(batch, this.#recordBytesMax);
    return this.#appends.append(batch, bytes);
  }

  read(options: ReadOptions): AsyncIterable<ReadItem> {
    this.#checkOpen();
    return readRemote(this.#client, options, this.#closing.signal);
  }

  async commitCursors(commits: readonly CursorCommit[]): Promise<number[]> {
    this.#checkOpen();
    for (const { id } of commits) checkCursorId(id);
    return this.#cursors.commit(commits);
  }

  async loadCursor(id: CursorId): Promise<Cursor | undefined> {
    this.#checkOpen();
    checkCursorId(id);
    const { cursor } = await this.#client.loadCursor({ id }, RETRY);
    return cursor === undefined ? undefined : cursorFromWire(cursor);
  }

  async deleteCursor(id: CursorId): Promise<void> {
    this.#checkOpen();
    checkCursorId(id);
    await this.#client.deleteCursor({ id }, RETRY);
  }

  async listCursors(log: string): Promise<CursorId[]> {
    this.#checkOpen();
    checkLogName(log);
    const ids: CursorId[] = [];
    for await (const { cursors } of this.#client.listCursors({ log })) {
      ids.push(...cursors.map(cursorIdFromWire));
    }
    return ids;
  }

  async producerSequence(log: string, partition: number, producer: string): Promise<number> {
    this.#checkOpen();
    return Number((await this.#client.getProducer({ log, partition, producer }, RETRY)).last);
  }

  async trim(log: string, partition: number, before: number): Promise<void> {
    this.#checkOpen();
    if (!Number.isSafeInteger(before) || before < 0) {
      throw invalid('before', `${before} is not a position`);
    }
    await this.#client.trim({ log, partition, before: BigInt(before) }, RETRY);
  }

  queues(): StoreQueues {
    const { pendingBytes, inFlight } = this.#appends;
    return { pendingBytes, inFlight, waitingCursors: this.#cursors.waiting };
  }

  async ping(): Promise<void> {
    await this.profile();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#appends.close();
    this.#closing.abort();
    this.#transport.close();
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw storeClosed();
  }
}
