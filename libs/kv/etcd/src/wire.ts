import type { KvChange, KvCompare, KvEntry, KvOperation } from '@eventmesh/kv-api';
import type { IKeyValue, ITxnRequest, IWatchResponse } from './etcd3-client.ts';

/** Conversions between the contract's shapes and etcd's. */
const ZERO = Buffer.from([0]);

export const keyBytes = (key: string): Buffer => Buffer.from(key, 'utf8');

/** etcd's range for a prefix: [prefix, the least key above), where two zero bytes mean everything. */
export function prefixRange(prefix: string): { key: Buffer; range_end: Buffer } {
  if (prefix === '') return { key: ZERO, range_end: ZERO };
  return { key: keyBytes(prefix), range_end: prefixEnd(prefix) };
}

/** UTF-8 has no byte 0xff, so the last byte can always be raised. */
export function prefixEnd(prefix: string): Buffer {
  if (prefix === '') return ZERO;
  const end = keyBytes(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}

export function toEntry(kv: IKeyValue): KvEntry {
  return {
    key: kv.key.toString('utf8'),
    value: kv.value,
    modRevision: Number(kv.mod_revision),
    createRevision: Number(kv.create_revision),
    ...(kv.lease === '0' ? {} : { lease: kv.lease }),
  };
}

export const toCompare = (compare: KvCompare): NonNullable<ITxnRequest['compare']>[number] => ({
  key: keyBytes(compare.key),
  result: 'Equal',
  ...('modRevision' in compare
    ? { target: 'Mod', mod_revision: compare.modRevision }
    : { target: 'Create', create_revision: compare.createRevision }),
});

export const toRequest = (operation: KvOperation): NonNullable<ITxnRequest['success']>[number] =>
  operation.type === 'delete'
    ? { request_delete_range: { key: keyBytes(operation.key) } }
    : {
        request_put: {
          key: keyBytes(operation.key),
          value: asBuffer(operation.value),
          lease: operation.lease ?? '0',
        },
      };

export const toRead = (key: string): NonNullable<ITxnRequest['failure']>[number] => ({
  request_range: { key: keyBytes(key) },
});

/** A view, not a copy. */
export const asBuffer = (value: Uint8Array): Buffer =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** One revision's changes, in the order etcd tells them. */
export interface Revision {
  readonly revision: number;
  readonly changes: KvChange[];
}

/**
 * Puts whole revisions together from the answers of a watch: a large one comes in fragments, and a
 * fragment may end in the middle of a revision.
 */
export class RevisionAssembler {
  #pending: Revision | undefined;

  /** Takes the next answer and returns the revisions that are now whole. */
  take(answer: IWatchResponse): Revision[] {
    const whole: Revision[] = [];
    for (const { type, kv } of answer.events) {
      const revision = Number(kv.mod_revision);
      if (this.#pending !== undefined && this.#pending.revision !== revision) {
        whole.push(this.#pending);
        this.#pending = undefined;
      }
      this.#pending ??= { revision, changes: [] };
      const key = kv.key.toString('utf8');
      this.#pending.changes.push(
        // The package declares `Put` and delivers `PUT`.
        type.toUpperCase() === 'PUT'
          ? { type: 'put', key, entry: toEntry(kv) }
          : { type: 'delete', key },
      );
    }
    if (!answer.fragment && this.#pending !== undefined) {
      whole.push(this.#pending);
      this.#pending = undefined;
    }
    return whole;
  }
}
