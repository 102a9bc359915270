import { Kvm, type KV, type KvEntry } from '@nats-io/kv';
import { MeshError, unavailable } from '@eventmesh/errors';
import { API_ERROR, apiCode, fromJetStream, type Connection } from './connection.ts';

const CONFLICT: readonly number[] = [
  API_ERROR.wrongLastSequence,
  API_ERROR.wrongLastSequenceConstant,
];
/** Times that a compare-and-set is tried against others before it is given up. */
const ATTEMPTS_MAX = 10;
const EMPTY = new Uint8Array(0);

/** The last value of each key; every change is compare-and-set on the key's revision. */
export class KvBucket {
  readonly #connection: Connection;
  readonly #kv: KV;
  readonly #name: string;
  #acked = 0;

  static async open(connection: Connection, name: string, replicas: number): Promise<KvBucket> {
    try {
      const kvm = new Kvm(connection.nc);
      // Read from the leader alone: a replica that lags would give an older value, or none.
      const kv = await kvm.create(name, {
        ...{ replicas, history: 1, storage: 'file' },
        allow_direct: false,
      });
      return new KvBucket(connection, kv, name);
    } catch (error) {
      throw fromJetStream(error);
    }
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
    await this.#guarded(async () => this.#ack(await this.#kv.put(key, value)));
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
        this.#ack(
          entry === null
            ? await this.#kv.create(key, value)
            : await this.#kv.update(key, value, entry.revision),
        );
        return;
      } catch (error) {
        if (!CONFLICT.includes(apiCode(error))) throw fromJetStream(error);
      }
    }
    throw unavailable(`others keep changing ${key}`);
  }

  async purge(key: string): Promise<void> {
    await this.#guarded(() => this.#kv.purge(key));
  }

  async keys(): Promise<string[]> {
    return this.#guarded(async () => {
      const keys: string[] = [];
      for await (const key of await this.#kv.keys()) keys.push(key);
      return keys;
    });
  }

  #ack(revision: number): void {
    this.#acked = Math.max(this.#acked, revision);
  }

  async #get(key: string): Promise<KvEntry | null> {
    const entry = await this.#guarded(() => this.#kv.get(key));
    if (entry !== null || !(await this.#indexed(key))) return entry;
    // It may have been made in between.
    const again = await this.#guarded(() => this.#kv.get(key));
    if (again === null) throw damaged(this.#name, key);
    return again;
  }

  /** Whether the server's index has the key: a value whose checksum is wrong is not given out. */
  async #indexed(key: string): Promise<boolean> {
    const subject = `$KV.${this.#name}.${key}`;
    const { state } = await this.#guarded(() =>
      this.#connection.jsm.streams.info(`KV_${this.#name}`, { subjects_filter: subject }),
    );
    return (state.subjects?.[subject] ?? 0) > 0;
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    this.#connection.checkUp();
    try {
      return await run();
    } catch (error) {
      throw fromJetStream(error);
    }
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
