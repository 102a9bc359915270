/**
 * The contract every control-plane service keeps its state in. It is the part of etcd that the mesh
 * needs: keys with a global monotone revision, compare-and-set, small transactions, leases and a
 * watch without gaps. Plugins: `@eventmesh/kv-embedded`, `@eventmesh/kv-etcd`; both run
 * `describeKvContract` from `@eventmesh/testing`.
 *
 * Common rules:
 * - Keys are non-empty Unicode strings without control characters or lone surrogates, ordered by
 *   their UTF-8 bytes. A prefix is any string; `''` is every key.
 * - Value bytes that go in belong to the plugin until the call settles; do not change them before.
 *   Value bytes that come out belong to the caller and are never written to again by the plugin.
 * - A write is acknowledged only after it is durable (fsync, in etcd on a majority).
 * - Errors are `MeshError`: `InvalidArgument` or `PayloadTooLarge` before anything is sent,
 *   `NotFound` with reason `LEASE_NOT_FOUND` for a lease that is gone, `Unavailable` or
 *   `DeadlineExceeded` when the store does not answer. After one of the last two a write may or may
 *   not have happened: read the key back, its `modRevision` tells. A lost compare is a result, not
 *   an error.
 */
export interface Kv {
  /** The entry of a key as of now (linearizable), or undefined. */
  get(key: string): Promise<KvEntry | undefined>;

  /**
   * One page of the keys that start with `prefix`, in key order. Pages are not one snapshot: each
   * tells the revision it was read at. Whoever reads all pages and then watches from the *first*
   * page's revision + 1 misses nothing (see `mirror`).
   */
  range(prefix: string, options?: KvRangeOptions): Promise<KvPage>;

  /** Writes one key, when its present revision allows it. */
  put(key: string, value: Uint8Array, options?: KvPutOptions): Promise<KvWriteResult>;

  /** Deletes one key, when its present revision allows it. An absent key is `applied: false`. */
  delete(key: string, options?: KvConditionOptions): Promise<KvWriteResult>;

  /**
   * All `then` operations under one revision when every compare holds, none otherwise. A key may be
   * written at most once. An empty `then` only compares.
   */
  transact(transaction: KvTransaction): Promise<KvTransactionResult>;

  /**
   * Starts a lease: unless renewed it ends `ttlMs` from now, and with it every key attached to it
   * (one revision for all). The plugin may grant more time than asked (etcd counts whole seconds).
   * @param ttlMs 1 to `KV_LEASE_TTL_MS_MAX` milliseconds
   */
  grantLease(ttlMs: number): Promise<KvLease>;

  /**
   * A handle on a lease granted before, by this process or another one: whoever knows the id may
   * renew or revoke it. Asks nothing of the store; whether the lease still lives shows at `renew`.
   * @param ttlMs the time it was granted with, as `KvLease.ttlMs` told
   */
  lease(id: string, ttlMs: number): KvLease;

  /**
   * Every change to keys that start with `prefix` from `fromRevision` on, in revision order, each
   * revision whole and exactly once, across lost connections. When the store no longer has (or never
   * had) that revision the sequence yields one `compacted` and ends: range again and watch from that
   * revision + 1. It otherwise ends only when `signal` aborts or the Kv closes (both without error);
   * it throws for errors that a retry cannot mend (`PermissionDenied`, `Unauthenticated`).
   * Paced by the consumer: nothing is buffered beyond one page, a consumer that falls behind the
   * store's history gets `compacted`. Iterate it once; leaving the loop releases it.
   */
  watch(prefix: string, options: KvWatchOptions): AsyncIterable<KvWatchEvent>;

  /** Resolves when the store answers a linearizable read, else throws `Unavailable`. */
  ping(): Promise<void>;

  /** Ends watches and keep-alives, waits for writes under way. May be called twice. */
  close(): Promise<void>;
}

/** Longest key in UTF-8 bytes; the embedded store's page layout sets it. */
export const KV_KEY_BYTES_MAX = 1024;
/** Longest value in bytes; stays below etcd's default request limit of 1.5 MiB. */
export const KV_VALUE_BYTES_MAX = 1_048_576;
/** Most compares, and most operations, of a transaction; etcd's default `--max-txn-ops`. */
export const KV_TRANSACTION_OPS_MAX = 128;
/** Most value bytes of a transaction together; etcd's default request limit bounds it. */
export const KV_TRANSACTION_BYTES_MAX = 1_048_576;
/** Most entries of a page, and the default. */
export const KV_PAGE_MAX = 1000;
/** Longest lease: one day, in milliseconds. */
export const KV_LEASE_TTL_MS_MAX = 86_400_000;

export interface KvEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** The revision of the last write of this key. Above 0. */
  readonly modRevision: number;
  /** The revision that created the key; a delete starts a new life. Good as a fencing epoch. */
  readonly createRevision: number;
  /** The lease the key ends with, if any. */
  readonly lease?: string;
}

export interface KvRangeOptions {
  /** Most entries to return, 1 to `KV_PAGE_MAX`. Default `KV_PAGE_MAX`. */
  readonly limit?: number;
  /** Only keys after this one: the `next` of the page before. */
  readonly after?: string;
}

export interface KvPage {
  readonly entries: readonly KvEntry[];
  /** The store's revision when the page was read. */
  readonly revision: number;
  /** Hand this to `after` for the next page; undefined on the last. */
  readonly next?: string;
}

export interface KvConditionOptions {
  /**
   * Apply only when the key's `modRevision` is this; 0 means "only when it does not exist" (for a
   * delete: never applies). Default: unconditional.
   */
  readonly ifRevision?: number;
}

export interface KvPutOptions extends KvConditionOptions {
  /** Attach the key to this lease. Default: none, and a put without it detaches the key. */
  readonly lease?: string;
}

/** Outcome of a conditional write. */
export type KvWriteResult =
  | { readonly applied: true; /** The revision the write made. */ readonly revision: number }
  | {
      readonly applied: false;
      /** The store's revision when the condition was tested. */
      readonly revision: number;
      /** What the key held then; undefined when it did not exist. */
      readonly current: KvEntry | undefined;
    };

/** Holds when the key's revision is exactly this; 0 means that the key does not exist. */
export type KvCompare =
  | { readonly key: string; readonly modRevision: number }
  | { readonly key: string; readonly createRevision: number };

export type KvOperation =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: Uint8Array;
      readonly lease?: string;
    }
  | { readonly type: 'delete'; readonly key: string };

export interface KvTransaction {
  /** All must hold. Default: none, which always holds. */
  readonly compare?: readonly KvCompare[];
  readonly then: readonly KvOperation[];
}

export type KvTransactionResult =
  | { readonly applied: true; readonly revision: number }
  | {
      readonly applied: false;
      readonly revision: number;
      /** What each compared key held, in the order of `compare`. */
      readonly current: readonly (KvEntry | undefined)[];
    };

export interface KvLease {
  readonly id: string;
  /** The time granted at each renewal, in milliseconds; at least what was asked. */
  readonly ttlMs: number;
  /** Starts the full time anew. Throws `NotFound` (reason `LEASE_NOT_FOUND`) when it has ended. */
  renew(): Promise<void>;
  /**
   * Renews every third of the time until stopped, the lease is revoked or the Kv closes. `onLost` is
   * called once when the lease has ended, or when its whole time passed without a renewal that came
   * through: from then on nothing that depends on the lease may be done. May be called once.
   */
  keepAlive(onLost: (reason: Error) => void): KvKeepAlive;
  /** Ends the lease and its keys now. May be called twice; a lease that is gone is no error. */
  revoke(): Promise<void>;
}

export interface KvKeepAlive {
  /** Stops renewing; the lease ends by itself. May be called twice. */
  stop(): void;
}

export interface KvWatchOptions {
  /** First revision wanted, 1 or more; normally that of a range + 1. */
  readonly fromRevision: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /**
   * Told when the connection behind the watch is lost and when it is back; the changes missed in
   * between follow. Never called by the embedded store. Must not throw.
   */
  readonly onConnection?: (state: 'connected' | 'disconnected', reason?: Error) => void;
}

export type KvChange =
  | { readonly type: 'put'; readonly key: string; readonly entry: KvEntry }
  | { readonly type: 'delete'; readonly key: string };

export type KvWatchEvent =
  /** All changes of one revision under the prefix, in no promised order. */
  | { readonly type: 'changes'; readonly revision: number; readonly changes: readonly KvChange[] }
  /** Last event: changes up to this revision are no longer to be had one by one. Reload. */
  | { readonly type: 'compacted'; readonly revision: number };
