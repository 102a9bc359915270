import { createHash, randomBytes } from 'node:crypto';
import { MeshError, invalid } from '@eventmesh/errors';
import { KV_TRANSACTION_OPS_MAX, type Clock, type KvOperation } from '@eventmesh/kv-api';
import type { Directory } from './directory.ts';
import { HISTORY_OPERATIONS } from './history.ts';
import type { CheckChange } from './last-administrator.ts';
import { checkName, checkPolicyFilter, checkSubject, checkTenant } from './names.ts';
import { checkPassword, hashPassword, type ScryptCost } from './password.ts';
import {
  deleteRecord,
  putRecord,
  recordKey,
  type AssignmentRecord,
  type KeyRecord,
  type PolicyRecord,
  type UserRecord,
} from './records.ts';

/** Most roles a user, key or subject has directly. */
export const ROLES_MAX = 32;
/** Longest chain of roles that have roles; casbin itself follows ten links. */
export const ROLE_DEPTH_MAX = 8;
/** The version marker and the history take operations of each transaction, too. */
const OPERATIONS_MAX = KV_TRANSACTION_OPS_MAX - 2 - HISTORY_OPERATIONS;

/** All changes of users, keys, policies and roles; each resolves with the policy revision. */
export class Changes {
  readonly #directory: Directory;
  readonly #cost: ScryptCost;
  readonly #clock: Clock;
  readonly #check: CheckChange;

  /** @param check Looks at each change of rights before it is made. Default: all are made. */
  constructor(
    directory: Directory,
    cost: ScryptCost,
    clock: Clock,
    check: CheckChange = () => undefined,
  ) {
    this.#directory = directory;
    this.#cost = cost;
    this.#clock = clock;
    this.#check = check;
  }

  /** An empty password keeps the present one; a new user needs one. */
  async putUser(
    user: Pick<UserRecord, 'tenant' | 'name' | 'roles' | 'disabled'>,
    password: string,
  ): Promise<number> {
    const tenant = checkTenant(user.tenant, 'user.tenant');
    const name = checkName(user.name, 'user.name');
    const roles = checkRoles(user.roles, 'user.roles');
    const passwordHash =
      password === ''
        ? undefined
        : await hashPassword(checkPassword(password, 'password'), this.#cost);
    return this.#commit(tenant, () => {
      const hash = passwordHash ?? this.#directory.user(tenant, name)?.value.passwordHash;
      if (hash === undefined) throw invalid('password', 'is needed for a new user');
      const { disabled } = user;
      return [putRecord({ type: 'user', tenant, name, roles, disabled, passwordHash: hash })];
    });
  }

  /** Its policies and assignments go with it: a later user of that name must not inherit them. */
  async deleteUser(givenTenant: string, name: string): Promise<number> {
    const tenant = checkTenant(givenTenant, 'tenant');
    const user = this.#directory.user(tenant, checkName(name, 'name'))?.value;
    if (user === undefined) throw notFound('name', `there is no user "${name}"`);
    // The user first, so that logging in ends at once however much there is to clear up.
    let version = await this.#commit(tenant, () =>
      this.#directory.user(tenant, name) === undefined ? [] : [deleteRecord(user)],
    );
    const leftovers = () => this.#ofSubject(tenant, `user:${name}`);
    while (leftovers().length > 0) {
      version = await this.#directory.commit(() => leftovers().slice(0, OPERATIONS_MAX));
    }
    return version;
  }

  #ofSubject(tenant: string, subject: string): KvOperation[] {
    const { policies, assignments } = this.#directory.tenant(tenant);
    return [...policies, ...assignments]
      .filter((record) => record.subject === subject)
      .map(deleteRecord);
  }

  /** Answers the whole key, `em_<id>_<secret>`, which nobody can make out again. */
  async createApiKey(
    given: Pick<KeyRecord, 'tenant' | 'name' | 'roles' | 'expiresMs'>,
  ): Promise<{ key: KeyRecord; secret: string }> {
    const tenant = checkTenant(given.tenant, 'tenant');
    const name = checkName(given.name, 'name');
    const roles = checkRoles(given.roles, 'roles');
    const createdMs = this.#clock.now();
    if (given.expiresMs !== 0 && given.expiresMs <= createdMs) {
      throw invalid('expires_ms', 'lies in the past; 0 means never');
    }
    // Hex, so that the first underscore after the prefix ends the id.
    const id = randomBytes(8).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const secretHash = createHash('sha256').update(secret).digest('hex');
    const { expiresMs } = given;
    const key = { type: 'key', id, tenant, name, roles, expiresMs, createdMs, secretHash } as const;
    await this.#directory.commit(() => {
      this.#checkSameRoles(key);
      return [putRecord(key)];
    });
    return { key, secret: `em_${id}_${secret}` };
  }

  /** Keys of one name are one principal, such as the old and the new one of a rotation. */
  #checkSameRoles(key: KeyRecord): void {
    const nowMs = this.#clock.now();
    const other = this.#directory
      .tenant(key.tenant)
      .keys.find(({ name, expiresMs }) => name === key.name && !isPast(expiresMs, nowMs));
    if (other === undefined || sameMembers(other.roles, key.roles)) return;
    throw new MeshError(
      'FailedPrecondition',
      `roles: the key "${key.name}" exists with the roles ${other.roles.join(', ') || '(none)'}; ` +
        'give the same ones, or another name',
      { field: 'roles' },
    );
  }

  revokeApiKey(givenTenant: string, id: string): Promise<number> {
    const tenant = checkTenant(givenTenant, 'tenant');
    return this.#commit(tenant, () => {
      const key = this.#directory.key(id);
      // Another tenant's key is as unknown as none.
      if (key?.tenant !== tenant) throw notFound('id', 'there is no such API key');
      return [deleteRecord(key)];
    });
  }

  putPolicy(policy: Omit<PolicyRecord, 'type'>): Promise<number> {
    const record = checkedPolicy(policy, 'policy');
    return this.#commit(record.tenant, () =>
      this.#directory.has(recordKey(record)) ? [] : [putRecord(record)],
    );
  }

  deletePolicy(policy: Omit<PolicyRecord, 'type'>): Promise<number> {
    const record = checkedPolicy(policy, 'policy');
    return this.#commit(record.tenant, () => {
      if (!this.#directory.has(recordKey(record))) {
        throw notFound('policy', 'there is no such policy; give all of its parts');
      }
      return [deleteRecord(record)];
    });
  }

  assignRole(assignment: Omit<AssignmentRecord, 'type'>): Promise<number> {
    const record = checkedAssignment(assignment, 'assignment');
    return this.#commit(record.tenant, () => {
      if (this.#directory.has(recordKey(record))) return [];
      checkGraph([...this.#directory.tenant(record.tenant).assignments, record]);
      return [putRecord(record)];
    });
  }

  revokeRole(assignment: Omit<AssignmentRecord, 'type'>): Promise<number> {
    const record = checkedAssignment(assignment, 'assignment');
    return this.#commit(record.tenant, () => {
      if (!this.#directory.has(recordKey(record))) {
        throw notFound('assignment', `${record.subject} does not have the role "${record.role}"`);
      }
      return [deleteRecord(record)];
    });
  }

  #commit(tenant: string, plan: () => readonly KvOperation[]): Promise<number> {
    return this.#directory.commit(() => {
      const operations = plan();
      this.#check(tenant, operations);
      return operations;
    });
  }
}

export function checkRoles(roles: readonly string[], field: string): string[] {
  if (roles.length > ROLES_MAX) {
    throw invalid(field, `has ${roles.length} roles`, { limit: `${ROLES_MAX} roles` });
  }
  return [...new Set(roles.map((role, index) => checkName(role, `${field}[${index}]`)))];
}

export function checkedPolicy(policy: Omit<PolicyRecord, 'type'>, field: string): PolicyRecord {
  const tenant = checkTenant(policy.tenant, `${field}.tenant`);
  const subject = checkSubject(policy.subject, `${field}.subject`);
  const filter = checkPolicyFilter(policy.filter, `${field}.topic_filter`);
  return { type: 'policy', tenant, subject, action: policy.action, filter, deny: policy.deny };
}

export function checkedAssignment(
  assignment: Omit<AssignmentRecord, 'type'>,
  field: string,
): AssignmentRecord {
  const tenant = checkTenant(assignment.tenant, `${field}.tenant`);
  const subject = checkSubject(assignment.subject, `${field}.subject`);
  const role = checkName(assignment.role, `${field}.role`);
  return { type: 'assignment', tenant, subject, role };
}

/**
 * Refuses a role graph (of one tenant) that has a cycle, a chain or a subject beyond the limits.
 *
 * @throws MeshError InvalidArgument.
 */
export function checkGraph(assignments: readonly AssignmentRecord[]): void {
  const roles = new Map<string, string[]>();
  for (const { subject, role } of assignments) {
    const list = roles.get(subject) ?? [];
    roles.set(subject, [...list, `role:${role}`]);
    if (list.length >= ROLES_MAX) {
      throw invalid('assignment.subject', `"${subject}" has more than ${ROLES_MAX} roles`, {
        limit: `${ROLES_MAX} roles`,
      });
    }
  }
  const heights = new Map<string, number>();
  const height = (subject: string, path: readonly string[]): number => {
    if (path.includes(subject)) {
      throw invalid('assignment.role', `${[...path, subject].join(' has ')}: that is a cycle`);
    }
    const known = heights.get(subject);
    if (known !== undefined) return known;
    const below = (roles.get(subject) ?? []).map((role) => height(role, [...path, subject]) + 1);
    const own = Math.max(0, ...below);
    if (own > ROLE_DEPTH_MAX) {
      throw invalid('assignment.role', `"${subject}" is at the end of a chain of ${own} roles`, {
        limit: `${ROLE_DEPTH_MAX} roles in a chain`,
      });
    }
    heights.set(subject, own);
    return own;
  };
  for (const subject of roles.keys()) height(subject, []);
}

export const isPast = (expiresMs: number, nowMs: number): boolean =>
  expiresMs !== 0 && expiresMs <= nowMs;

const sameMembers = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((member) => b.includes(member));

const notFound = (field: string, message: string): MeshError =>
  new MeshError('NotFound', `${field}: ${message}`, { field });
