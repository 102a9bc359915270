import { MeshError, unavailable } from '@eventmesh/errors';
import {
  prefixed,
  versionedState,
  type Clock,
  type Kv,
  type KvOperation,
  type Mirrored,
  type VersionedState,
} from '@eventmesh/kv-api';
import {
  apiKeyKey,
  decodeRecord,
  userKey,
  type AssignmentRecord,
  type BootstrapRecord,
  type KeyRecord,
  type PolicyRecord,
  type StoredRecord,
  type UserRecord,
} from './records.ts';

export interface DirectoryOptions {
  readonly clock: Clock;
  /** How long answers may be given from memory while the store is away, in ms. */
  readonly storeAwayMsMax: number;
  readonly onError: (error: MeshError, key?: string) => void;
}

/** What one tenant has, by what it is asked for; in the order of the keys in the store. */
interface TenantIndex {
  readonly users: UserRecord[];
  readonly keys: KeyRecord[];
  readonly policies: PolicyRecord[];
  readonly assignments: AssignmentRecord[];
  readonly policiesBySubject: Map<string, PolicyRecord[]>;
  readonly rolesBySubject: Map<string, string[]>;
}

interface Index {
  readonly version: number;
  readonly tenants: ReadonlyMap<string, TenantIndex>;
  readonly brokenTenants: ReadonlySet<string | undefined>;
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

/** Who there is and what the policy says, as of one version; all reads are from memory. */
export class Directory {
  readonly #state: VersionedState<StoredRecord>;
  readonly #options: DirectoryOptions;
  #index: Index | undefined;
  #loaded = false;

  constructor(kv: Kv, options: DirectoryOptions) {
    this.#options = options;
    this.#state = versionedState(prefixed(kv, 'acl/'), decodeRecord, {
      clock: options.clock,
      onError: options.onError,
      onChange: () => {
        this.#index = undefined;
      },
    });
  }

  async start(): Promise<void> {
    await this.#state.ready;
    this.#loaded = true;
  }

  close(): Promise<void> {
    return this.#state.close();
  }

  /** The policy revision: changes with every user, key, policy and assignment. */
  get version(): number {
    return this.#state.version;
  }

  /** Whether the store is in reach, so that the version is surely the newest. */
  get connected(): boolean {
    return this.#loaded && this.#state.disconnectedSinceMs === undefined;
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.#state.changed(signal);
  }

  /** @throws MeshError Unavailable when the store has been away too long to answer from memory. */
  checkFresh(): void {
    const since = this.#state.disconnectedSinceMs;
    if (!this.#loaded) throw unavailable('the policy has not been loaded yet');
    if (since === undefined) return;
    if (this.#options.clock.now() - since > this.#options.storeAwayMsMax) {
      throw unavailable('the store of the policy has been away too long to decide without it');
    }
  }

  user(tenant: string, name: string): (Mirrored<UserRecord> & { value: UserRecord }) | undefined {
    const found = this.#state.get(userKey(tenant, name));
    return found?.value.type === 'user' ? (found as Mirrored<UserRecord>) : undefined;
  }

  key(id: string): KeyRecord | undefined {
    const found = this.#state.get(apiKeyKey(id))?.value;
    return found?.type === 'key' ? found : undefined;
  }

  get bootstrap(): BootstrapRecord['state'] | undefined {
    const found = this.#state.get('bootstrap')?.value;
    return found?.type === 'bootstrap' ? found.state : undefined;
  }

  has(key: string): boolean {
    return this.#state.get(key) !== undefined;
  }

  /** @throws MeshError DataLoss when a part of the tenant's policy cannot be read. */
  tenant(tenant: string): TenantIndex {
    const { tenants, brokenTenants } = this.#indexed();
    if (brokenTenants.has(tenant) || brokenTenants.has(undefined)) {
      throw new MeshError(
        'DataLoss',
        'a part of the policy cannot be read, so nothing is allowed; the log names the entry',
      );
    }
    return tenants.get(tenant) ?? NOBODY;
  }

  /** The names of all tenants that have anything. */
  tenants(): string[] {
    return [...this.#indexed().tenants.keys()];
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

  commit(plan: () => readonly KvOperation[]): Promise<number> {
    return this.#state.commit(plan);
  }

  #indexed(): Index {
    if (this.#index?.version !== this.version) this.#index = buildIndex(this.#state);
    return this.#index as Index;
  }
}

function buildIndex(state: VersionedState<StoredRecord>): Index {
  const tenants = new Map<string, TenantIndex>();
  const brokenTenants = new Set<string | undefined>();
  // Nearly in order already: as loaded, with what has come since at the end.
  const entries = [...state.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, { value }] of entries) {
    if (value.type === 'bootstrap') continue;
    if (value.type === 'broken') {
      brokenTenants.add(value.tenant);
      continue;
    }
    let tenant = tenants.get(value.tenant);
    if (tenant === undefined) tenants.set(value.tenant, (tenant = emptyTenant()));
    addRecord(tenant, value);
  }
  return { version: state.version, tenants, brokenTenants };
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
