import type { EventStore, LogInfo } from '@eventmesh/store-api';
import type { DataPlaneConfig } from './config.ts';

const PREFIX = 'events.';

/** The log of each tenant, made on first use. */
export class Logs {
  readonly #store: EventStore;
  readonly #config: DataPlaneConfig['log'];
  readonly #ready = new Map<string, LogInfo>();
  readonly #making = new Map<string, Promise<LogInfo>>();
  readonly #listeners = new Set<(tenant: string) => void>();

  constructor(store: EventStore, config: DataPlaneConfig['log']) {
    this.#store = store;
    this.#config = config;
  }

  /** Finds the logs that exist, so that what was stored before the start is followed. */
  async discover(): Promise<void> {
    for (const { spec } of await this.#store.listLogs()) {
      if (spec.name.startsWith(PREFIX)) await this.ensure(spec.name.slice(PREFIX.length));
    }
  }

  name(tenant: string): string {
    return PREFIX + tenant;
  }

  tenants(): readonly string[] {
    return [...this.#ready.keys()];
  }

  /** Without waiting; undefined when the log has to be made first. */
  partitions(tenant: string): number | undefined {
    return this.#ready.get(tenant)?.partitions.length;
  }

  /** Makes the log when it is not there. */
  ensure(tenant: string): Promise<LogInfo> {
    const ready = this.#ready.get(tenant);
    if (ready !== undefined) return Promise.resolve(ready);
    let making = this.#making.get(tenant);
    if (making === undefined) {
      making = this.#make(tenant).finally(() => this.#making.delete(tenant));
      this.#making.set(tenant, making);
    }
    return making;
  }

  /** Told of every tenant whose log becomes ready, those that are so already included. */
  onTenant(listener: (tenant: string) => void): () => void {
    this.#listeners.add(listener);
    for (const tenant of this.#ready.keys()) listener(tenant);
    return () => this.#listeners.delete(listener);
  }

  async #make(tenant: string): Promise<LogInfo> {
    const { partitions, retention, retentionBytes, duplicateWindow } = this.#config;
    const name = this.name(tenant);
    const found = await this.#store.logInfo(name);
    const info = await this.#store.ensureLog({
      name,
      partitions: Math.max(partitions, found?.spec.partitions ?? 0),
      retentionMs: retention,
      retentionBytes,
      duplicateWindow,
    });
    this.#ready.set(tenant, info);
    for (const listener of this.#listeners) listener(tenant);
    return info;
  }
}

/** FNV-1a over UTF-16 units: cheap, and the same everywhere. */
export function partitionOf(topic: string, key: string, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (const text of [topic, key]) {
    for (let i = 0; i < text.length; i++) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
  }
  return (hash >>> 0) % partitions;
}
