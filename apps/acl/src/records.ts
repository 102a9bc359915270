import { createHash } from 'node:crypto';
import type { KvOperation } from '@eventmesh/kv-api';
import { MeshError } from '@eventmesh/errors';
import { ACTION_NAMES, type ActionName } from './names.ts';

/** The stored forms, as JSON, one per key. Tenant and subject lead the keys. */
export interface UserRecord {
  readonly type: 'user';
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly disabled: boolean;
  readonly passwordHash: string;
}

export interface KeyRecord {
  readonly type: 'key';
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** Milliseconds since the Unix epoch; 0 for never. */
  readonly expiresMs: number;
  readonly createdMs: number;
  /** SHA-256 of the secret, hex: it has 256 random bits, so a slow hash would add nothing. */
  readonly secretHash: string;
}

export interface PolicyRecord {
  readonly type: 'policy';
  readonly tenant: string;
  readonly subject: string;
  readonly action: ActionName;
  readonly filter: string;
  readonly deny: boolean;
}

/** `subject` has the role. */
export interface AssignmentRecord {
  readonly type: 'assignment';
  readonly tenant: string;
  readonly subject: string;
  readonly role: string;
}

/** How far the bootstrap file got. */
export interface BootstrapRecord {
  readonly type: 'bootstrap';
  readonly state: 'started' | 'done';
}

/** A policy or assignment that cannot be read: what it would have denied must stay denied. */
export interface BrokenRecord {
  readonly type: 'broken';
  /** Undefined: unknown, so it concerns everybody. */
  readonly tenant: string | undefined;
}

/** What a commit has replaced, so that rights of the past can be told; secrets are left out. */
export interface HistoryRecord {
  readonly type: 'history';
  /** The version that taking the commit back leads to. */
  readonly before: number;
  /** A record by each key that was written; null where there was none. Null: not kept. */
  readonly undo: readonly { readonly key: string; readonly record: StoredRecord | null }[] | null;
}

export type StoredRecord =
  | UserRecord
  | KeyRecord
  | PolicyRecord
  | AssignmentRecord
  | BootstrapRecord
  | HistoryRecord
  | BrokenRecord;

type Writable = Exclude<StoredRecord, BrokenRecord>;

export const userKey = (tenant: string, name: string): string => `user/${tenant}/${name}`;
export const apiKeyKey = (id: string): string => `key/${id}`;

/** In the order of the versions. */
const historyKey = (before: number): string => `history/${String(before).padStart(16, '0')}`;

export function recordKey(record: Writable): string {
  switch (record.type) {
    case 'user':
      return userKey(record.tenant, record.name);
    case 'key':
      return apiKeyKey(record.id);
    case 'policy': {
      // A filter may be as long as a whole key, so its line is hashed.
      const line = [record.subject, record.action, record.filter, record.deny];
      const digest = createHash('sha256').update(JSON.stringify(line)).digest('hex');
      return `policy/${record.tenant}/${digest}`;
    }
    case 'assignment':
      return `assignment/${record.tenant}/${record.subject}/${record.role}`;
    case 'bootstrap':
      return 'bootstrap';
    case 'history':
      return historyKey(record.before);
  }
}

export const putRecord = (record: Writable): KvOperation => ({
  type: 'put',
  key: recordKey(record),
  value: new TextEncoder().encode(JSON.stringify(record)),
});

export const deleteRecord = (record: Writable): KvOperation => ({
  type: 'delete',
  key: recordKey(record),
});

/**
 * Reads a stored value and checks its form. A user or key that cannot be read is left out (it
 * cannot log in); a policy or assignment becomes a BrokenRecord, because leaving out a deny would
 * allow; a piece of history says that it is not kept.
 *
 * @throws MeshError DataLoss to leave the key out.
 */
export function decodeRecord(value: Uint8Array, key: string): StoredRecord {
  const [kind, tenant] = key.split('/');
  const record = parse(value);
  const form = Object.hasOwn(FORMS, kind ?? '') ? FORMS[kind as Writable['type']] : undefined;
  if (record !== undefined && record['type'] === kind && form?.(record) === true) {
    const whole = record as unknown as Writable;
    if (recordKey(whole) === key) return whole;
  }
  if (kind === 'policy' || kind === 'assignment') return { type: 'broken', tenant };
  // Left out, the past would look as if that commit had changed nothing.
  if (kind === 'history') return { type: 'history', before: Number(tenant), undo: null };
  throw new MeshError('DataLoss', `the stored entry ${key} is malformed; write it anew`);
}

function parse(value: Uint8Array): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
    return typeof parsed === 'object' && parsed !== null
      ? (parsed as Record<string, unknown>)
      : undefined;
  } catch {
    // Told by the caller, with the key.
    return undefined;
  }
}

type Check = (record: Record<string, unknown>) => boolean;

const texts = (record: Record<string, unknown>, ...names: string[]): boolean =>
  names.every((name) => typeof record[name] === 'string');

const roleList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((role) => typeof role === 'string');

/** Each record in it has the form of its kind, too. */
const isUndo = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return false;
    const { key, record } = entry as Record<string, unknown>;
    if (typeof key !== 'string') return false;
    if (record === null) return true;
    const type = (record as Record<string, unknown> | undefined)?.['type'];
    return UNDONE.has(String(type)) && FORMS[type as Writable['type']](record as never);
  });

const UNDONE: ReadonlySet<string> = new Set(['user', 'key', 'policy', 'assignment']);

const FORMS: Readonly<Record<Writable['type'], Check>> = Object.freeze({
  user: (r: Record<string, unknown>) =>
    texts(r, 'tenant', 'name', 'passwordHash') &&
    roleList(r['roles']) &&
    typeof r['disabled'] === 'boolean',
  key: (r: Record<string, unknown>) =>
    texts(r, 'id', 'tenant', 'name', 'secretHash') &&
    roleList(r['roles']) &&
    Number.isSafeInteger(r['expiresMs']) &&
    Number.isSafeInteger(r['createdMs']),
  policy: (r: Record<string, unknown>) =>
    texts(r, 'tenant', 'subject', 'filter') &&
    Object.hasOwn(ACTION_NAMES, String(r['action'])) &&
    typeof r['deny'] === 'boolean',
  assignment: (r: Record<string, unknown>) => texts(r, 'tenant', 'subject', 'role'),
  history: (r: Record<string, unknown>) =>
    Number.isSafeInteger(r['before']) && (r['undo'] === null || isUndo(r['undo'])),
  bootstrap: (r: Record<string, unknown>) => r['state'] === 'started' || r['state'] === 'done',
});
