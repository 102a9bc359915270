import { MeshError } from '@eventmesh/errors';
import {
  checkKey,
  checkLeaseTtl,
  checkPrefix,
  checkRange,
  checkRevision,
  checkTransaction,
  checkValue,
  isLeaseNotFound,
  keepLeaseAlive,
  leaseNotFound,
  type Kv,
  type KvConditionOptions,
  type KvEntry,
  type KvKeepAlive,
  type KvLease,
  type KvPage,
  type KvPutOptions,
  type KvRangeOptions,
  type KvTransaction,
  type KvTransactionResult,
  type KvWatchEvent,
  type KvWatchOptions,
  type KvWriteResult,
} from '@eventmesh/kv-api';
import { pause } from '@eventmesh/time';
import { Etcd3Client, type IRangeResponse, type ITxnRequest } from './etcd3-client.ts';
import { compileOptions, type CompiledOptions, type EtcdKvOptions } from './options.ts';
import { watchPrefix } from './watch.ts';
import {
  asBuffer,
  keyBytes,
  prefixEnd,
  prefixRange,
  toCompare,
  toEntry,
  toRead,
  toRequest,
} from './wire.ts';

/** How often a read is tried; writes never are, since their outcome may be unknown. */
const READ_TRIES = 3;

export interface EtcdKv extends Kv {
  /** Gives up the history up to `revision` for every user of the etcd; watches behind must reload. */
  compact(revision: number): Promise<void>;
}

/**
 * A Kv on etcd (3.6 or newer). Connects at the first call; `ping` tells whether the server answers.
 * @throws MeshError InvalidArgument naming the option that is wrong
 */
export function openEtcdKv(options: EtcdKvOptions): EtcdKv {
  return new Handle(compileOptions(options));
}

class Handle implements EtcdKv {
  readonly #options: CompiledOptions;
  readonly #client: Etcd3Client;
  readonly #closing = new AbortController();
  readonly #keepAlives = new Set<KvKeepAlive>();
  readonly #writing = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(options: CompiledOptions) {
    this.#options = options;
    this.#client = new Etcd3Client(options);
  }

  async get(key: string): Promise<KvEntry | undefined> {
    checkKey(key);
    const { kvs } = await this.#read(() => this.#client.range({ key: keyBytes(key) }));
    return kvs[0] === undefined ? undefined : toEntry(kvs[0]);
  }

  async range(prefix: string, options: KvRangeOptions = {}): Promise<KvPage> {
    const limit = checkRange(prefix, options);
    const { key: first } = prefixRange(prefix);
    const after = options.after === undefined ? first : keyBytes(options.after);
    // The least key above another is that key and a zero byte.
    const start = Buffer.compare(after, first) > 0 || options.after === prefix;
    const key = start ? Buffer.concat([after, Buffer.from([0])]) : first;
    const range_end = prefixEnd(prefix);
    if (start && prefix !== '' && Buffer.compare(key, range_end) >= 0) {
      return { entries: [], revision: await this.#revision() };
    }
    const answer = await this.#page({ key, range_end }, limit);
    const entries = answer.kvs.map(toEntry);
    const last = entries.at(-1);
    const next = answer.more && last !== undefined ? { next: last.key } : {};
    return { entries, revision: Number(answer.header.revision), ...next };
  }

  async put(key: string, value: Uint8Array, options: KvPutOptions = {}): Promise<KvWriteResult> {
    checkKey(key);
    checkValue(value);
    const { ifRevision, lease } = options;
    if (ifRevision !== undefined) checkRevision(ifRevision, 'ifRevision', 0);
    if (ifRevision === undefined) {
      const put = () => this.#client.put(keyBytes(key), asBuffer(value), lease ?? '0');
      return { applied: true, revision: await this.#write(put) };
    }
    const result = await this.#transact({
      compare: [{ key, modRevision: ifRevision }],
      then: [{ type: 'put', key, value, ...(lease === undefined ? {} : { lease }) }],
    });
    return result.applied ? result : { ...result, current: result.current[0] };
  }

  async delete(key: string, options: KvConditionOptions = {}): Promise<KvWriteResult> {
    checkKey(key);
    const { ifRevision } = options;
    if (ifRevision !== undefined) checkRevision(ifRevision, 'ifRevision', 0);
    const bytes = keyBytes(key);
    const compare: NonNullable<ITxnRequest['compare']> = [
      { key: bytes, target: 'Create', result: 'Greater', create_revision: 0 },
    ];
    if (ifRevision !== undefined) compare.push(toCompare({ key, modRevision: ifRevision }));
    const answer = await this.#write(() =>
      this.#client.transact({
        compare,
        success: [toRequest({ type: 'delete', key })],
        failure: [toRead(key)],
      }),
    );
    const revision = Number(answer.header.revision);
    if (answer.succeeded) return { applied: true, revision };
    const kv = answer.responses[0]?.response_range.kvs[0];
    return { applied: false, revision, current: kv === undefined ? undefined : toEntry(kv) };
  }

  async transact(transaction: KvTransaction): Promise<KvTransactionResult> {
    checkTransaction(transaction);
    return this.#transact(transaction);
  }

  async grantLease(ttlMs: number): Promise<KvLease> {
    checkLeaseTtl(ttlMs);
    const grant = () => this.#client.grantLease(Math.ceil(ttlMs / 1000));
    const { id, ttlSeconds } = await this.#write(grant);
    return this.#lease(id, ttlSeconds * 1000);
  }

  lease(id: string, ttlMs: number): KvLease {
    checkLeaseTtl(ttlMs);
    return this.#lease(id, ttlMs);
  }

  async *watch(prefix: string, options: KvWatchOptions): AsyncGenerator<KvWatchEvent, void> {
    checkPrefix(prefix);
    checkRevision(options.fromRevision, 'fromRevision', 1);
    const own = this.#closing.signal;
    const signal = options.signal === undefined ? own : AbortSignal.any([options.signal, own]);
    yield* watchPrefix(this.#client, this.#options, prefix, options, signal);
  }

  async ping(): Promise<void> {
    await this.#revision();
  }

  async compact(revision: number): Promise<void> {
    checkRevision(revision, 'revision', 1);
    await this.#write(() => this.#client.compact(revision));
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort();
      for (const keepAlive of [...this.#keepAlives]) keepAlive.stop();
      await Promise.allSettled(this.#writing);
      this.#client.close();
    })();
    return this.#closed;
  }

  #lease(id: string, ttlMs: number): KvLease {
    let keepAlive: KvKeepAlive | undefined;
    const lease: KvLease = {
      id,
      ttlMs,
      renew: async () => {
        if (!(await this.#write(() => this.#client.renewLease(id)))) throw leaseNotFound(id);
      },
      keepAlive: (onLost) => {
        if (keepAlive !== undefined) {
          throw new MeshError('FailedPrecondition', `lease ${id} is already kept alive`);
        }
        const renewing = keepLeaseAlive(lease, this.#options.clock, onLost, () =>
          this.#keepAlives.delete(renewing),
        );
        keepAlive = renewing;
        this.#keepAlives.add(renewing);
        return renewing;
      },
      revoke: async () => {
        keepAlive?.stop();
        try {
          await this.#write(() => this.#client.revokeLease(id));
        } catch (error) {
          if (!isLeaseNotFound(error)) throw error;
        }
      },
    };
    return lease;
  }

  async #transact({ compare = [], then }: KvTransaction): Promise<KvTransactionResult> {
    const answer = await this.#write(() =>
      this.#client.transact({
        compare: compare.map(toCompare),
        success: then.map(toRequest),
        failure: compare.map(({ key }) => toRead(key)),
      }),
    );
    const revision = Number(answer.header.revision);
    if (answer.succeeded) return { applied: true, revision };
    const current = answer.responses.map(({ response_range }) => {
      const kv = response_range.kvs[0];
      return kv === undefined ? undefined : toEntry(kv);
    });
    return { applied: false, revision, current };
  }

  /** A page as large as fits one message: on an answer too large, the next try asks for half. */
  async #page(range: { key: Buffer; range_end: Buffer }, limit: number): Promise<IRangeResponse> {
    try {
      return await this.#read(() => this.#client.range({ ...range, limit }));
    } catch (error) {
      const tooLarge = error instanceof MeshError && error.code === 'ResourceExhausted';
      if (!tooLarge || limit === 1) throw error;
      return this.#page(range, Math.ceil(limit / 2));
    }
  }

  async #revision(): Promise<number> {
    const { header } = await this.#read(() =>
      this.#client.range({ ...prefixRange(''), count_only: true }),
    );
    return Number(header.revision);
  }

  async #read<T>(run: () => Promise<T>): Promise<T> {
    const backoff = this.#options.backoff();
    for (let tries = 1; ; tries += 1) {
      this.#mustBeOpen();
      try {
        return await run();
      } catch (error) {
        const passing = error instanceof MeshError && error.code === 'Unavailable';
        if (!passing || tries === READ_TRIES) throw error;
      }
      await pause(backoff.nextMs(), this.#closing.signal, this.#options.clock);
    }
  }

  async #write<T>(run: () => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    const writing = run();
    this.#writing.add(writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  #mustBeOpen(): void {
    if (this.#closing.signal.aborted) throw new MeshError('Unavailable', 'this Kv is closed');
  }
}
