import { StorageType } from '@nats-io/jetstream';
import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import { MeshError, unavailable } from '@eventmesh/errors';
import { API_ERROR, apiCode } from './api-error.ts';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';

const CONFLICT: readonly number[] = [
  API_ERROR.wrongLastSequence,
  API_ERROR.wrongLastSequenceConstant,
];
/** Times that a compare-and-set is tried against others before it is given up. */
const ATTEMPTS_MAX = 10;
const GETS_AT_A_TIME = 100;
const EMPTY = new Uint8Array(0);

/** The last value of each key; every change is compare-and-set on the key's revision. */
export class KvBucket {
  readonly #connection: Connection;
  readonly #kv: KV;
  readonly #name: string;
  #acked = 0;

  static async open(connection: Connection, name: string, replicas: number): Promise<KvBucket> {
    const kvm = new Kvm(connection.js);
    const config = {
      ...{ replicas, history: 1, storage: StorageType.File },
      // Read from the leader alone: a replica that lags would give an older value, or none.
      allow_direct: false,
    };
    const kv = await ask(connection, () => kvm.create(name, config));
    return new KvBucket(connection, kv, name);
  }

  private constructor(connection: Connection, kv: KV, name: string) {
    this.#name = name;
    this.#connection = connection;
    this.#kv = kv;
  }

  /** The highest revision of a write of ours that was acknowledged. */
  get acked(): number {
    return this.#acked;
  }

  /** @throws MeshError DataLoss when the value is damaged. */
  async get(key: string): Promise<Uint8Array | undefined> {
    return valueOf(await this.#get(key));
  }

  /** Whatever was there before. */
  async put(key: string, value: Uint8Array): Promise<void> {
    this.#ack(await this.#ask(() => this.#kv.put(key, value)));
  }

  /** Compare-and-set in a loop: `next` answers the new value, or undefined to leave it. */
  async change(
    key: string,
    next: (stored: Uint8Array | undefined) => Uint8Array | undefined,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const entry = await this.#get(key);
      const value = next(valueOf(entry));
      if (value === undefined) return;
      try {
        // One that was stored though its answer did not come is a conflict when sent again.
        const write = () =>
          entry === null
            ? this.#kv.create(key, value)
            : this.#kv.update(key, value, entry.revision);
        this.#ack(await this.#ask(write));
        return;
      } catch (error) {
        if (!CONFLICT.includes(apiCode(error))) throw error;
      }
    }
    throw unavailable(`others keep changing ${key}`);
  }

  async purge(key: string): Promise<void> {
    await this.#ask(() => this.#kv.purge(key));
  }

  /**
   * Those with a value, in no order. From the leader's index, which has the keys that were deleted
   * too: a consumer could be at a replica that lags, and ends without a word when its server does.
   *
   * @throws MeshError DataLoss when a value is damaged.
   */
  async keys(prefix: string): Promise<string[]> {
    const base = this.#subject('');
    const all = await this.#subjects(`${base}>`);
    const keys = all.map((subject) => subject.slice(base.length));
    const wanted = keys.filter((key) => key.startsWith(prefix));
    const found: string[] = [];
    for (let next = 0; next < wanted.length; next += GETS_AT_A_TIME) {
      const some = wanted.slice(next, next + GETS_AT_A_TIME);
      const values = await Promise.all(some.map((key) => this.get(key)));
      found.push(...some.filter((_key, index) => values[index] !== undefined));
    }
    return found;
  }

  #ack(revision: number): void {
    this.#acked = Math.max(this.#acked, revision);
  }

  async #get(key: string): Promise<KvEntry | null> {
    const entry = await this.#ask(() => this.#kv.get(key));
    if (entry !== null || (await this.#subjects(this.#subject(key))).length === 0) return entry;
    // It may have been made in between.
    const again = await this.#ask(() => this.#kv.get(key));
    if (again === null) throw damaged(this.#name, key);
    return again;
  }

  /** What the server's index has: a value whose checksum is wrong is not given out. */
  async #subjects(filter: string): Promise<string[]> {
    const { state } = await this.#ask(() =>
      this.#connection.jsm.streams.info(this.#stream, { subjects_filter: filter }),
    );
    return Object.keys(state.subjects ?? {});
  }

  get #stream(): string {
    return `KV_${this.#name}`;
  }

  #subject(key: string): string {
    return `$KV.${this.#name}.${key}`;
  }

  #ask<T>(call: () => Promise<T>): Promise<T> {
    return ask(this.#connection, call);
  }
}

const damaged = (bucket: string, key: string): MeshError =>
  new MeshError(
    'DataLoss',
    `the value of key ${key} in KV bucket ${bucket} is damaged; restore the bucket from a backup, ` +
      'or delete the key to go on without it',
    { reason: 'VALUE_DAMAGED', facts: { bucket, key } },
  );

function valueOf(entry: KvEntry | null): Uint8Array | undefined {
  if (entry === null || entry.operation !== 'PUT') return undefined;
  return entry.value.length === 0 ? EMPTY : entry.value;
}
