import { unavailable, type MeshError } from '@eventmesh/errors';
import {
  prefixed,
  versionedState,
  type Clock,
  type Kv,
  type KvOperation,
  type Mirrored,
  type VersionedState,
} from '@eventmesh/kv-api';
import { historyOf, recordsAt } from './history.ts';
import {
  apiKeyKey,
  decodeRecord,
  userKey,
  type BootstrapRecord,
  type HistoryRecord,
  type KeyRecord,
  type StoredRecord,
  type UserRecord,
} from './records.ts';
import { Rights, type TenantIndex } from './rights.ts';

export interface DirectoryOptions {
  readonly clock: Clock;
  /** How long answers may be given from memory while the store is away, in ms. */
  readonly storeAwayMsMax: number;
  readonly onError: (error: MeshError, key?: string) => void;
}

/** How many versions of the past are kept ready. */
const PAST_MAX = 8;

/** Who there is and what the policy says, as of one version; all reads are from memory. */
export class Directory {
  readonly #state: VersionedState<StoredRecord>;
  readonly #options: DirectoryOptions;
  #rights: Rights | undefined;
  /** Some that were asked for lately. */
  readonly #past = new Map<number, Rights>();
  #loaded = false;

  constructor(kv: Kv, options: DirectoryOptions) {
    this.#options = options;
    this.#state = versionedState(prefixed(kv, 'acl/'), decodeRecord, {
      clock: options.clock,
      onError: options.onError,
      onChange: () => {
        this.#rights = undefined;
        this.#past.clear();
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

  /** The rights at the version shown. */
  get rights(): Rights {
    if (this.#rights?.version !== this.version) this.#rights = buildRights(this.#state);
    return this.#rights;
  }

  /** The rights at an earlier version; undefined when they are no longer known. */
  rightsAt(version: number): Rights | undefined {
    if (version === this.version) return this.rights;
    if (version > this.version) return undefined;
    const known = this.#past.get(version);
    if (known !== undefined) return known;
    const records = new Map([...this.#state.entries()].map(([key, { value }]) => [key, value]));
    const past = recordsAt(version, records, this.#history());
    if (past === undefined) return undefined;
    const rights = new Rights(version, inOrder(past));
    if (this.#past.size >= PAST_MAX) this.#past.clear();
    this.#past.set(version, rights);
    return rights;
  }

  tenant(tenant: string): TenantIndex {
    return this.rights.tenant(tenant);
  }

  commit(plan: () => readonly KvOperation[]): Promise<number> {
    return this.#state.commit(() => {
      const operations = plan();
      const records = { get: (key: string) => this.#state.get(key)?.value };
      return [...operations, ...historyOf(this.version, records, this.#history(), operations)];
    });
  }

  /** In the order of the versions. */
  #history(): HistoryRecord[] {
    const kept = [...this.#state.entries()].flatMap(([, { value }]) =>
      value.type === 'history' ? [value] : [],
    );
    return kept.sort((a, b) => a.before - b.before);
  }
}

const buildRights = (state: VersionedState<StoredRecord>): Rights =>
  new Rights(
    state.version,
    inOrder([...state.entries()].map(([key, { value }]) => [key, value] as const)),
  );

/** Nearly in order already: as loaded, with what has come since at the end. */
function inOrder(entries: Iterable<readonly [string, StoredRecord]>): StoredRecord[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
}
