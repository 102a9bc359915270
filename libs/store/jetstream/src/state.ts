import {
  decodeCursor,
  encodeCursor,
  type Cursor,
  type CursorCommit,
  type CursorId,
  type LogSpec,
  type SessionState,
} from '@eventmesh/store-api';
import { KvBucket } from './kv-bucket.ts';
import type { Connection } from './connection.ts';
import type { ProducerSnapshot, SessionShard } from './producer-book.ts';
import { logToken } from './subjects.ts';

/** Producers of a partition as they were put down at a position. */
export interface StoredProducers {
  readonly upTo: number;
  readonly sequences: Map<string, number>;
  readonly sessions: Map<string, SessionState>;
}

interface StoredShard {
  readonly upTo: number;
  readonly sessions: SessionShard;
}

const keyOf = (kind: string, log: string, ...more: (string | number)[]): string =>
  [kind, logToken(log), ...more].join('/');

const cursorKey = ({ log, partition, subscription }: CursorId): string =>
  keyOf('cursor', log, partition, Buffer.from(subscription).toString('base64url'));

/** What is small and changes in place: specs, cursors, what is put down of producers. */
export class StateBucket {
  readonly #bucket: KvBucket;
  /** The last write of each cursor that is under way: calls are applied in order. */
  readonly #turns = new Map<string, Promise<unknown>>();

  static async open(
    connection: Connection,
    prefix: string,
    replicas: number,
  ): Promise<StateBucket> {
    return new StateBucket(await KvBucket.open(connection, `${prefix}-state`, replicas));
  }

  private constructor(bucket: KvBucket) {
    this.#bucket = bucket;
  }

  /** Sequence of the bucket's stream that was acknowledged last. */
  get acked(): number {
    return this.#bucket.acked;
  }

  /** One small synced write, to be timed. */
  async probe(): Promise<void> {
    await this.#bucket.put('probe', new Uint8Array(0));
  }

  async logSpec(name: string): Promise<LogSpec | undefined> {
    const bytes = await this.#bucket.get(keyOf('log', name));
    return bytes === undefined ? undefined : (JSON.parse(text(bytes)) as LogSpec);
  }

  /** Replaces a spec; `change` sees the stored one and may refuse. */
  async changeLogSpec(
    name: string,
    change: (stored: LogSpec | undefined) => LogSpec,
  ): Promise<void> {
    const key = keyOf('log', name);
    await this.#bucket.change(key, (stored) =>
      Buffer.from(
        JSON.stringify(
          change(stored === undefined ? undefined : (JSON.parse(text(stored)) as LogSpec)),
        ),
      ),
    );
  }

  async logNames(): Promise<string[]> {
    const keys = await this.#bucket.keys(keyOf('log', ''));
    return keys.map((key) => key.slice(keyOf('log', '').length).replaceAll('=', '.')).sort();
  }

  async loadCursor(id: CursorId): Promise<Cursor | undefined> {
    const bytes = await this.#bucket.get(cursorKey(id));
    return bytes === undefined ? undefined : decodeCursor(bytes, id);
  }

  /** Whether it was stored; false when a newer epoch has written. */
  async commitCursor({ id, cursor }: CursorCommit): Promise<boolean> {
    const key = cursorKey(id);
    return this.#inTurn(key, async () => {
      let stored = true;
      await this.#bucket.change(key, (bytes) => {
        stored = bytes === undefined || decodeCursor(bytes, id).epoch <= cursor.epoch;
        return stored ? encodeCursor(cursor) : undefined;
      });
      return stored;
    });
  }

  async deleteCursor(id: CursorId): Promise<void> {
    const key = cursorKey(id);
    await this.#inTurn(key, () => this.#bucket.purge(key));
  }

  /** The cursors of a log, in no order. */
  async cursors(log: string): Promise<CursorId[]> {
    const prefix = keyOf('cursor', log, '');
    const keys = await this.#bucket.keys(prefix);
    return keys.map((key) => {
      const [partition = '', name = ''] = key.slice(prefix.length).split('/');
      const subscription = Buffer.from(name, 'base64url').toString();
      return { log, partition: Number(partition), subscription };
    });
  }

  async producers(log: string, partition: number): Promise<StoredProducers> {
    const sessions = new Map<string, SessionState>();
    const bytes = await this.#bucket.get(keyOf('producers', log, partition));
    if (bytes === undefined) return { upTo: 0, sequences: new Map(), sessions };
    const { upTo, sequences, sessionShards } = JSON.parse(text(bytes)) as ProducerSnapshot;
    const shards = await Promise.all(
      sessionShards.map((shard) => this.#bucket.get(keyOf('sessions', log, partition, shard))),
    );
    for (const stored of shards) {
      if (stored === undefined) continue;
      const shard = JSON.parse(text(stored)) as StoredShard;
      for (const [id, state] of shard.sessions) sessions.set(id, state);
    }
    return { upTo, sequences: new Map(Object.entries(sequences)), sessions };
  }

  /**
   * Stores a snapshot, of each part unless a later one is there. The part that says how far it
   * goes comes last: after a crash in between, the records after the one before are read again.
   */
  async saveProducers(
    log: string,
    partition: number,
    snapshot: ProducerSnapshot,
    changed: ReadonlyMap<number, SessionShard>,
  ): Promise<void> {
    const { upTo } = snapshot;
    await Promise.all(
      [...changed].map(([shard, sessions]) =>
        this.#saveLatest<StoredShard>(keyOf('sessions', log, partition, shard), { upTo, sessions }),
      ),
    );
    await this.#saveLatest(keyOf('producers', log, partition), snapshot);
  }

  async #saveLatest<T extends { readonly upTo: number }>(key: string, next: T): Promise<void> {
    await this.#bucket.change(key, (bytes) => {
      const stored = bytes === undefined ? undefined : (JSON.parse(text(bytes)) as T);
      const later = stored !== undefined && stored.upTo > next.upTo;
      return later ? undefined : Buffer.from(JSON.stringify(next));
    });
  }

  async #inTurn<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve();
    // What became of the one before is told to its own caller.
    const mine = before.then(run, run);
    this.#turns.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(key) === mine) this.#turns.delete(key);
    }
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
