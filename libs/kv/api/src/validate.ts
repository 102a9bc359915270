import { MeshError, invalid, tooLarge } from '@eventmesh/errors';
import {
  KV_KEY_BYTES_MAX,
  KV_LEASE_TTL_MS_MAX,
  KV_PAGE_MAX,
  KV_TRANSACTION_BYTES_MAX,
  KV_TRANSACTION_OPS_MAX,
  KV_VALUE_BYTES_MAX,
  type KvRangeOptions,
  type KvTransaction,
} from './kv.ts';

const CONTROL = /\p{Cc}/u;

/** The checks all plugins share, so that a caller meets the same limits whatever the store. */
export function checkKey(key: string, field = 'key'): void {
  if (key.length === 0) throw invalid(field, 'must not be empty');
  checkPrefix(key, field);
}

export function checkPrefix(prefix: string, field = 'prefix'): void {
  if (CONTROL.test(prefix)) throw invalid(field, 'must not contain control characters');
  if (!prefix.isWellFormed()) throw invalid(field, 'must not contain a lone surrogate');
  if (Buffer.byteLength(prefix) > KV_KEY_BYTES_MAX) {
    throw invalid(field, `is longer than ${KV_KEY_BYTES_MAX} bytes of UTF-8`, {
      limit: `${KV_KEY_BYTES_MAX} bytes`,
    });
  }
}

export function checkValue(value: Uint8Array, field = 'value'): void {
  if (value.byteLength > KV_VALUE_BYTES_MAX) {
    throw tooLarge(
      field,
      `has ${value.byteLength} bytes; at most ${KV_VALUE_BYTES_MAX} are stored under one key`,
      `${KV_VALUE_BYTES_MAX} bytes`,
    );
  }
}

export function checkRevision(revision: number, field: string, min: number): void {
  if (!Number.isSafeInteger(revision) || revision < min) {
    throw invalid(field, `must be a whole number of ${min} or more, got ${revision}`);
  }
}

/** Returns the page size to use. */
export function checkRange(prefix: string, options: KvRangeOptions): number {
  checkPrefix(prefix);
  if (options.after !== undefined) checkKey(options.after, 'after');
  const limit = options.limit ?? KV_PAGE_MAX;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > KV_PAGE_MAX) {
    throw invalid('limit', `must be 1 to ${KV_PAGE_MAX}, got ${limit}`, {
      limit: `${KV_PAGE_MAX} entries`,
    });
  }
  return limit;
}

export function checkLeaseTtl(ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > KV_LEASE_TTL_MS_MAX) {
    throw invalid('ttlMs', `must be 1 to ${KV_LEASE_TTL_MS_MAX} milliseconds, got ${ttlMs}`, {
      limit: `${KV_LEASE_TTL_MS_MAX} ms`,
    });
  }
}

export function checkTransaction(transaction: KvTransaction): void {
  const compare = transaction.compare ?? [];
  checkCount(compare.length, 'compare');
  checkCount(transaction.then.length, 'then');
  compare.forEach((c, i) => {
    checkKey(c.key, `compare[${i}].key`);
    const field = 'modRevision' in c ? 'modRevision' : 'createRevision';
    checkRevision(
      'modRevision' in c ? c.modRevision : c.createRevision,
      `compare[${i}].${field}`,
      0,
    );
  });
  const written = new Set<string>();
  let bytes = 0;
  transaction.then.forEach((operation, i) => {
    checkKey(operation.key, `then[${i}].key`);
    if (written.has(operation.key)) {
      throw invalid(`then[${i}].key`, 'is written twice in one transaction; merge the operations');
    }
    written.add(operation.key);
    if (operation.type === 'put') {
      checkValue(operation.value, `then[${i}].value`);
      bytes += operation.value.byteLength;
    }
  });
  if (bytes > KV_TRANSACTION_BYTES_MAX) {
    throw tooLarge(
      'then',
      `the values have ${bytes} bytes together; split the transaction`,
      `${KV_TRANSACTION_BYTES_MAX} bytes`,
    );
  }
}

function checkCount(count: number, field: string): void {
  if (count > KV_TRANSACTION_OPS_MAX) {
    throw invalid(
      field,
      `has ${count} items, at most ${KV_TRANSACTION_OPS_MAX} fit a transaction`,
      {
        limit: `${KV_TRANSACTION_OPS_MAX} items`,
      },
    );
  }
}

export const leaseNotFound = (id: string, cause?: unknown): MeshError =>
  new MeshError(
    'NotFound',
    `lease ${id} has ended; grant a new one and write its keys again`,
    { field: 'lease', reason: 'LEASE_NOT_FOUND' },
    cause,
  );

/** Whether an error says that a lease has ended. */
export const isLeaseNotFound = (error: unknown): boolean =>
  error instanceof MeshError && error.reason === 'LEASE_NOT_FOUND';
