import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import { unavailable } from '@eventmesh/errors';
import {
  decodeCursor,
  encodeCursor,
  type Cursor,
  type CursorCommit,
  type CursorId,
  type LogSpec,
} from '@eventmesh/store-api';
import { API_ERROR, apiCode, fromJetStream, type Connection } from './connection.ts';
import { logToken } from './subjects.ts';

/** Producer sequences of a partition as of a position. */
export interface ProducerSnapshot {
  readonly upTo: number;
  readonly sequences: Readonly<Record<string, number>>;
}

const CONFLICT: readonly number[] = [
  API_ERROR.wrongLastSequence,
  API_ERROR.wrongLastSequenceConstant,
];
/** Times that a compare-and-set is tried against others before it is given up. */
const ATTEMPTS_MAX = 10;
const EMPTY = new Uint8Array(0);

const keyOf = (kind: string, log: string, ...more: (string | number)[]): string =>
  [kind, logToken(log), ...more].join('/');

const cursorKey = ({ log, partition, subscription }: CursorId): string =>
  keyOf('cursor', log, partition, Buffer.from(subscription).toString('base64url'));

/**
 * What is small and changes in place: specs, cursors, producer snapshots, in one KV bucket (the
 * last value of each key). Every write is compare-and-set on the key's revision.
 */
export class StateBucket {
  readonly #connection: Connection;
  readonly #kv: KV;
  /** The last write of each cursor that is under way: calls are applied in order. */
  readonly #turns = new Map<string, Promise<unknown>>();

  static async open(
    connection: Connection,
    prefix: string,
    replicas: number,
  ): Promise<StateBucket> {
    try {
      const kvm = new Kvm(connection.nc);
      const kv = await kvm.create(`${prefix}-state`, { replicas, history: 1, storage: 'file' });
      return new StateBucket(connection, kv);
    } catch (error) {
      throw fromJetStream(error);
    }
  }

  private constructor(connection: Connection, kv: KV) {
    this.#connection = connection;
    this.#kv = kv;
  }

  /** One small synced write, to be timed. */
  async probe(): Promise<void> {
    await this.#guarded(() => this.#kv.put('probe', EMPTY));
  }

  async logSpec(name: string): Promise<LogSpec | undefined> {
    const entry = await this.#get(keyOf('log', name));
    return value(entry) === undefined ? undefined : (entry?.json<LogSpec>() as LogSpec);
  }

  /** Replaces a spec; `change` sees the stored one and may refuse. */
  async changeLogSpec(
    name: string,
    change: (stored: LogSpec | undefined) => LogSpec,
  ): Promise<void> {
    const key = keyOf('log', name);
    await this.#change(key, (stored) =>
      Buffer.from(
        JSON.stringify(
          change(stored === undefined ? undefined : (JSON.parse(text(stored)) as LogSpec)),
        ),
      ),
    );
  }

  async logNames(): Promise<string[]> {
    const names: string[] = [];
    await this.#guarded(async () => {
      for await (const key of await this.#kv.keys()) {
        const [kind, token = ''] = key.split('/');
        if (kind === 'log') names.push(token.replaceAll('=', '.'));
      }
    });
    return names.sort();
  }

  async loadCursor(id: CursorId): Promise<Cursor | undefined> {
    const bytes = value(await this.#get(cursorKey(id)));
    return bytes === undefined ? undefined : decodeCursor(bytes);
  }

  /** Whether it was stored; false when a newer epoch has written. */
  async commitCursor({ id, cursor }: CursorCommit): Promise<boolean> {
    const key = cursorKey(id);
    return this.#inTurn(key, async () => {
      let stored = true;
      await this.#change(key, (bytes) => {
        stored = bytes === undefined || decodeCursor(bytes).epoch <= cursor.epoch;
        return stored ? encodeCursor(cursor) : undefined;
      });
      return stored;
    });
  }

  async deleteCursor(id: CursorId): Promise<void> {
    const key = cursorKey(id);
    await this.#inTurn(key, () => this.#guarded(() => this.#kv.purge(key)));
  }

  async producers(log: string, partition: number): Promise<ProducerSnapshot> {
    const bytes = value(await this.#get(keyOf('producers', log, partition)));
    if (bytes === undefined) return { upTo: 0, sequences: {} };
    return JSON.parse(text(bytes)) as ProducerSnapshot;
  }

  /** Stores a snapshot unless a later one is there. */
  async saveProducers(log: string, partition: number, snapshot: ProducerSnapshot): Promise<void> {
    const key = keyOf('producers', log, partition);
    await this.#change(key, (bytes) => {
      const stored =
        bytes === undefined ? undefined : (JSON.parse(text(bytes)) as ProducerSnapshot);
      return stored !== undefined && stored.upTo > snapshot.upTo
        ? undefined
        : Buffer.from(JSON.stringify(snapshot));
    });
  }

  /** Compare-and-set in a loop: `change` answers the new value, or undefined to leave it. */
  async #change(
    key: string,
    change: (stored: Uint8Array | undefined) => Uint8Array | undefined,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const entry = await this.#get(key);
      const next = change(value(entry));
      if (next === undefined) return;
      try {
        if (entry === null) await this.#kv.create(key, next);
        else await this.#kv.update(key, next, entry.revision);
        return;
      } catch (error) {
        if (!CONFLICT.includes(apiCode(error))) throw fromJetStream(error);
      }
    }
    throw unavailable(`others keep changing ${key}`);
  }

  async #get(key: string): Promise<KvEntry | null> {
    return this.#guarded(() => this.#kv.get(key));
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    this.#connection.checkUp();
    try {
      return await run();
    } catch (error) {
      throw fromJetStream(error);
    }
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

function value(entry: KvEntry | null): Uint8Array | undefined {
  if (entry === null || entry.operation !== 'PUT') return undefined;
  return entry.value.length === 0 ? EMPTY : entry.value;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
