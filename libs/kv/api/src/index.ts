export {
  KV_KEY_BYTES_MAX,
  KV_LEASE_TTL_MS_MAX,
  KV_PAGE_MAX,
  KV_TRANSACTION_BYTES_MAX,
  KV_TRANSACTION_OPS_MAX,
  KV_VALUE_BYTES_MAX,
  type Kv,
  type KvChange,
  type KvCompare,
  type KvConditionOptions,
  type KvEntry,
  type KvKeepAlive,
  type KvLease,
  type KvOperation,
  type KvPage,
  type KvPutOptions,
  type KvRangeOptions,
  type KvTransaction,
  type KvTransactionResult,
  type KvWatchEvent,
  type KvWatchOptions,
  type KvWriteResult,
} from './kv.ts';
export {
  mirror,
  type MirrorChange,
  type MirrorOptions,
  type Mirrored,
  type WatchedMap,
} from './mirror.ts';
export { prefixed } from './prefixed.ts';
// What the options of a Kv take.
export { Backoff, systemClock, type BackoffOptions, type Clock } from '@eventmesh/time';
export { keepLeaseAlive } from './keep-alive.ts';
export {
  checkKey,
  checkLeaseTtl,
  checkPrefix,
  checkRange,
  checkRevision,
  checkTransaction,
  checkValue,
  isLeaseNotFound,
  leaseNotFound,
} from './validate.ts';
export { versionedState, type VersionedOptions, type VersionedState } from './versioned.ts';
