import { MeshError } from '@eventmesh/errors';
import type {
  AssignmentRecord,
  KeyRecord,
  PolicyRecord,
  StoredRecord,
  UserRecord,
} from './records.ts';

/** What one tenant has, by what it is asked for; in the order of the keys in the store. */
export interface TenantIndex {
  readonly users: UserRecord[];
  readonly keys: KeyRecord[];
  readonly policies: PolicyRecord[];
  readonly assignments: AssignmentRecord[];
  readonly policiesBySubject: Map<string, PolicyRecord[]>;
  readonly rolesBySubject: Map<string, string[]>;
}

const emptyTenant = (): TenantIndex => ({
  users: [],
  keys: [],
  policies: [],
  assignments: [],
  policiesBySubject: new Map(),
  rolesBySubject: new Map(),
});

const NOBODY = Object.freeze(emptyTenant());

/** Who there is and what the policy says at one version; never changes. */
export class Rights {
  readonly version: number;
  readonly #tenants = new Map<string, TenantIndex>();
  readonly #brokenTenants = new Set<string | undefined>();

  /** @param records In the order of their keys. */
  constructor(version: number, records: Iterable<StoredRecord>) {
    this.version = version;
    for (const record of records) {
      if (record.type === 'bootstrap' || record.type === 'history') continue;
      if (record.type === 'broken') this.#brokenTenants.add(record.tenant);
      else addRecord(this.#ownTenant(record.tenant), record);
    }
  }

  /** @throws MeshError DataLoss when a part of the tenant's policy cannot be read. */
  tenant(tenant: string): TenantIndex {
    if (this.#brokenTenants.has(tenant) || this.#brokenTenants.has(undefined)) {
      throw new MeshError(
        'DataLoss',
        'a part of the policy cannot be read, so nothing is allowed; the log names the entry',
      );
    }
    return this.#tenants.get(tenant) ?? NOBODY;
  }

  /** A subject and its roles, the given ones included, and theirs, and so on. */
  subjects(tenant: string, subject: string, roles: readonly string[]): string[] {
    const { rolesBySubject } = this.tenant(tenant);
    const found = new Set([subject, ...roles.map((role) => `role:${role}`)]);
    // A set yields what is added to it meanwhile, and each member once: cycles end.
    for (const member of found) {
      for (const role of rolesBySubject.get(member) ?? []) found.add(`role:${role}`);
    }
    return [...found];
  }

  policiesOf(tenant: string, subjects: readonly string[]): PolicyRecord[] {
    const { policiesBySubject } = this.tenant(tenant);
    return subjects.flatMap((subject) => policiesBySubject.get(subject) ?? []);
  }

  #ownTenant(name: string): TenantIndex {
    let tenant = this.#tenants.get(name);
    if (tenant === undefined) this.#tenants.set(name, (tenant = emptyTenant()));
    return tenant;
  }
}

function addRecord(
  tenant: TenantIndex,
  record: UserRecord | KeyRecord | PolicyRecord | AssignmentRecord,
): void {
  switch (record.type) {
    case 'user':
      tenant.users.push(record);
      return;
    case 'key':
      tenant.keys.push(record);
      return;
    case 'policy':
      tenant.policies.push(record);
      push(tenant.policiesBySubject, record.subject, record);
      return;
    case 'assignment':
      tenant.assignments.push(record);
      push(tenant.rolesBySubject, record.subject, record.role);
  }
}

function push<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}
