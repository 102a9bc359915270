import { compileGrants } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { KvOperation } from '@eventmesh/kv-api';
import type { Directory } from './directory.ts';
import { ACTION_NAMES } from './names.ts';
import {
  decodeRecord,
  recordKey,
  type AssignmentRecord,
  type KeyRecord,
  type PolicyRecord,
  type StoredRecord,
  type UserRecord,
} from './records.ts';

/** Who and what a tenant has. */
export type TenantRecord = UserRecord | KeyRecord | PolicyRecord | AssignmentRecord;

/**
 * Whether anybody may administer the acl of the tenant: a user who may log in, a key that does not
 * expire or, where tokens are accepted, who may come with one. Of tokens acl knows no more than
 * that one may carry any role.
 */
export function hasAdministrator(records: readonly TenantRecord[], tokens: boolean): boolean {
  const policies = Map.groupBy(
    records.filter((record): record is PolicyRecord => {
      return record.type === 'policy' && record.action === 'admin';
    }),
    ({ subject }) => subject,
  );
  const assigned = Map.groupBy(
    records.filter((record) => record.type === 'assignment'),
    ({ subject }) => subject,
  );
  const administers = (subjects: readonly string[]): boolean => {
    const all = new Set(subjects);
    // A set yields what is added to it meanwhile, and each member once: cycles end.
    for (const member of all) {
      for (const { role } of assigned.get(member) ?? []) all.add(`role:${role}`);
    }
    const lines = [...all].flatMap((subject) => policies.get(subject) ?? []);
    // Most subjects have no line at all.
    if (lines.length === 0) return false;
    const grants = lines.map(({ action, filter, deny }) => {
      return { action: ACTION_NAMES[action], topicFilter: filter, deny };
    });
    return compileGrants(grants).allows(ACTION_NAMES.admin, 'acl');
  };
  const byToken = [...policies.keys(), ...assigned.keys()].filter(
    (subject) => tokens && /^(role|token):/.test(subject),
  );
  return (
    records.some((record) => administers(subjectsOf(record))) ||
    byToken.some((subject) => administers([subject]))
  );
}

function subjectsOf(record: TenantRecord): string[] {
  const roles = (names: readonly string[]) => names.map((role) => `role:${role}`);
  if (record.type === 'user' && !record.disabled) {
    return [`user:${record.name}`, ...roles(record.roles)];
  }
  if (record.type === 'key' && record.expiresMs === 0) {
    return [`key:${record.name}`, ...roles(record.roles)];
  }
  return [];
}

/** Looks at a change of a tenant before it is made. @throws why it must not be. */
export type CheckChange = (tenant: string, operations: readonly KvOperation[]) => void;

/**
 * Refuses changes after which a tenant that has administrators would have none: nobody of it could
 * take that back.
 *
 * @throws MeshError FailedPrecondition (LAST_ADMINISTRATOR).
 */
export const keepsAdministrator =
  (directory: Directory, tokens: { readonly accepted: boolean }): CheckChange =>
  (tenant, operations) => {
    const { users, keys, policies, assignments } = directory.tenant(tenant);
    const before = [...users, ...keys, ...policies, ...assignments];
    const { accepted } = tokens;
    if (hasAdministrator(after(before, operations), accepted)) return;
    if (!hasAdministrator(before, accepted)) return;
    throw new MeshError(
      'FailedPrecondition',
      `nobody of the tenant "${tenant}" could administer its acl any more; first give the action ` +
        'admin on acl to another user, or to a key that does not expire',
      { reason: 'LAST_ADMINISTRATOR' },
    );
  };

function after(
  records: readonly TenantRecord[],
  operations: readonly KvOperation[],
): TenantRecord[] {
  const keys = new Set(operations.map(({ key }) => key));
  // Making out the key of a policy takes a hash.
  const types = new Set([...keys].map((key) => key.split('/')[0]));
  const rest = records.filter((record) => !types.has(record.type) || !keys.has(recordKey(record)));
  const put = operations.flatMap((operation) =>
    operation.type === 'put' ? [decodeRecord(operation.value, operation.key)] : [],
  );
  return [...rest, ...put.filter(isOfTenant)];
}

const isOfTenant = (record: StoredRecord): record is TenantRecord =>
  !['bootstrap', 'broken', 'history'].includes(record.type);
