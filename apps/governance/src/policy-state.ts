import { create } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import {
  prefixed,
  versionedState,
  type Clock,
  type Kv,
  type KvOperation,
  type MirrorChange,
  type Mirrored,
  type VersionedState,
} from '@eventmesh/kv-api';
import { PolicySnapshotSchema, type PolicySnapshot } from '@eventmesh/proto-gen/governance';
import { pageOfSorted, type PageRequest } from '@eventmesh/rpc';
import {
  changeOf,
  decodeEntry,
  encodeEntry,
  withRevision,
  type Entry,
  type PolicyChange,
  type ValueOf,
} from './entries.ts';
import { ENTRIES_PER_TENANT_MAX, POLICY_BYTES_MAX, TENANT_BYTES_MAX } from './limits.ts';

/** Changes of one version, all of which belong together. */
export interface VersionChanges {
  readonly version: number;
  readonly changes: readonly PolicyChange[];
}

export interface PolicyStateOptions {
  /** Versions kept for watchers that are behind or come back; others get the whole policy. */
  readonly historyMax: number;
  readonly clock: Clock;
  readonly onError: (error: MeshError, key?: string) => void;
}

/** The catalogue and quotas as of one version, and what the last versions changed. */
export class PolicyState {
  readonly #state: VersionedState<Entry>;
  readonly #history: VersionChanges[] = [];
  /** Whoever is at this version or a later one can be told the changes since. */
  #historyFrom: number | undefined;
  readonly #historyMax: number;
  #loaded = false;

  constructor(kv: Kv, options: PolicyStateOptions) {
    this.#historyMax = options.historyMax;
    this.#state = versionedState(prefixed(kv, 'governance/'), decodeEntry, {
      ...options,
      onChange: (changes, version) => this.#remember(changes, version),
    });
  }

  async start(): Promise<void> {
    await this.#state.ready;
    this.#loaded = true;
  }

  close(): Promise<void> {
    return this.#state.close();
  }

  get version(): number {
    return this.#state.version;
  }

  /** @throws MeshError Unavailable before the first load. */
  checkLoaded(): void {
    if (!this.#loaded) throw unavailable('the policy has not been loaded yet');
  }

  /** Versions that a watcher at this one has yet to be told; 0 when it needs the whole policy. */
  behind(version: number): number {
    let count = 0;
    while (count < this.#history.length && (this.#history.at(-1 - count)?.version ?? 0) > version) {
      count++;
    }
    return count;
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.#state.changed(signal);
  }

  get(key: string): Entry | undefined {
    const found = this.#state.get(key);
    return found && withRevision(found.value, found.modRevision);
  }

  /** Whether a put would change nothing. */
  holds(operation: KvOperation): boolean {
    const found = this.#state.get(operation.key)?.value;
    if (operation.type === 'delete' || found === undefined) return false;
    return Buffer.compare(encodeEntry(found), operation.value) === 0;
  }

  /** A page of the entries of one kind of a tenant, by key. @throws MeshError InvalidArgument. */
  page<K extends Entry['kind']>(kind: K, tenant: string, request: PageRequest) {
    const found: { readonly key: string; readonly entry: Mirrored<Entry> }[] = [];
    for (const [key, entry] of this.#state.entries()) {
      const { value } = entry;
      if (value.kind === kind && value.value.tenant === tenant) found.push({ key, entry });
    }
    found.sort((a, b) => (a.key < b.key ? -1 : 1));
    const { entries, nextPageToken } = pageOfSorted(found, request, {
      scope: `${kind} of ${tenant}`,
      keyOf: ({ key }) => key,
      bytesOf: ({ entry }) => entry.value.bytes,
    });
    const values = entries.map(({ entry }) => withRevision(entry.value, entry.modRevision).value);
    return { values: values as ValueOf<K>[], nextPageToken };
  }

  snapshot(): PolicySnapshot {
    return create(PolicySnapshotSchema, {
      topics: this.#all('topic'),
      eventTypes: this.#all('type'),
      quotas: this.#all('quota'),
      schedules: this.#all('schedule'),
      deadLetterQuotas: this.#all('dead-letters'),
    });
  }

  /** The changes after a version, or undefined when they are not all known any more. */
  changesAfter(version: number): readonly VersionChanges[] | undefined {
    if (version === this.version) return [];
    const known =
      version === this.#historyFrom || this.#history.some((entry) => entry.version === version);
    return known ? this.#history.filter((entry) => entry.version > version) : undefined;
  }

  /** As `VersionedState.commit`, within the limits. @throws MeshError ResourceExhausted. */
  commit(plan: () => readonly KvOperation[]): Promise<number> {
    return this.#state.commit(() => {
      const operations = plan();
      this.#checkLimits(operations);
      return operations;
    });
  }

  #all<K extends Entry['kind']>(kind: K): ValueOf<K>[] {
    const found: Entry['value'][] = [];
    for (const [, { value, modRevision }] of this.#state.entries()) {
      if (value.kind === kind) found.push(withRevision(value, modRevision).value);
    }
    return found as ValueOf<K>[];
  }

  #remember(changes: readonly MirrorChange<Entry>[], version: number): void {
    if (this.#historyFrom === undefined) {
      this.#historyFrom = version;
      return;
    }
    const told = changes.flatMap(({ previous, current }) => {
      const entry = current ?? previous;
      return entry === undefined ? [] : [toldChange(entry, current === undefined)];
    });
    this.#history.push({ version, changes: told });
    if (this.#history.length > this.#historyMax) this.#historyFrom = this.#history.shift()?.version;
  }

  #checkLimits(operations: readonly KvOperation[]): void {
    const bytes = new Map<string, number>();
    const counts = new Map<string, number>();
    const add = (key: string, size: number) => {
      const [kind, tenant = ''] = key.split('/');
      bytes.set(tenant, (bytes.get(tenant) ?? 0) + size);
      const counted = `${kind} of ${tenant}`;
      counts.set(counted, (counts.get(counted) ?? 0) + 1);
    };
    const written = new Set(operations.map(({ key }) => key));
    for (const [key, { value }] of this.#state.entries()) {
      if (!written.has(key)) add(key, value.bytes);
    }
    for (const operation of operations) {
      if (operation.type === 'put') add(operation.key, operation.value.byteLength);
    }
    const ofTenant = Math.max(0, ...bytes.values());
    const whole = [...bytes.values()].reduce((sum, size) => sum + size, 0);
    check(Math.max(0, ...counts.values()), ENTRIES_PER_TENANT_MAX, 'entries of a kind in a tenant');
    check(ofTenant, TENANT_BYTES_MAX, 'bytes of policy in a tenant');
    check(whole, POLICY_BYTES_MAX, 'bytes of policy');
  }
}

function toldChange(entry: Mirrored<Entry>, deleted: boolean): PolicyChange {
  return changeOf(withRevision(entry.value, entry.modRevision), deleted);
}

function check(have: number, limit: number, what: string): void {
  if (have <= limit) return;
  throw new MeshError('ResourceExhausted', `there would be more than ${limit} ${what}`, {
    limit: `${limit} ${what}`,
  });
}
