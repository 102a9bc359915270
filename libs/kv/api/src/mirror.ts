import { MeshError, unavailable } from '@eventmesh/errors';
import { Backoff, pause, systemClock, type Clock } from '@eventmesh/time';
import type { Kv, KvChange, KvEntry } from './kv.ts';

/** A decoded entry. */
export interface Mirrored<T> {
  readonly value: T;
  readonly modRevision: number;
  readonly createRevision: number;
  readonly lease?: string;
}

/** What happened to one key: `current` is undefined when it is gone, `previous` when it is new. */
export interface MirrorChange<T> {
  readonly key: string;
  readonly previous: Mirrored<T> | undefined;
  readonly current: Mirrored<T> | undefined;
}

export interface MirrorOptions<T> {
  /**
   * Called after the map changed: once per revision, and once per (re)load with all differences,
   * before `ready` resolves. `revision` is the map's then. May be called with a load that changed
   * nothing only if it is the first (`changes` is empty). Must not throw; what it throws ends up at
   * `onError` and the mirror goes on.
   */
  readonly onChange?: (changes: readonly MirrorChange<T>[], revision: number) => void;
  /**
   * Told of each failure the mirror survives: the store is away (it keeps trying), a value does not
   * decode (`key` is given and left out of the map), `onChange` threw.
   */
  readonly onError: (error: MeshError, key?: string) => void;
  readonly clock?: Clock;
  /** Waits between attempts to load. Default: 50 ms doubling to 5 s, with jitter. */
  readonly backoff?: Backoff;
}

/** A live copy of all keys under a prefix. Reads are synchronous and see whole revisions. */
export interface WatchedMap<T> {
  /** Resolves after the first load; rejects only when closed before it. */
  readonly ready: Promise<void>;
  /** The store's revision the map is known to include; 0 before the first load. */
  readonly revision: number;
  /** False while the store cannot be reached; the map then shows the last known state. */
  readonly connected: boolean;
  /** Since when it is not connected, in milliseconds of the clock; undefined while connected. */
  readonly disconnectedSinceMs: number | undefined;
  readonly size: number;
  get(key: string): Mirrored<T> | undefined;
  entries(): IterableIterator<[string, Mirrored<T>]>;
  /**
   * Resolves when the map includes `revision`, the one of a write *below its prefix* (a write
   * elsewhere does not move it): how to read one's own writes. Rejects when closed or aborted.
   */
  reached(revision: number, signal?: AbortSignal): Promise<void>;
  /** Stops following. The map keeps its last state. May be called twice. */
  close(): Promise<void>;
}

/**
 * Loads `prefix`, follows it, reloads after compaction and keeps trying while the store is away.
 * @param decode turns a value into what the map holds; a throw leaves the key out (see `onError`)
 */
export function mirror<T>(
  kv: Kv,
  prefix: string,
  decode: (value: Uint8Array, key: string) => T,
  options: MirrorOptions<T>,
): WatchedMap<T> {
  return new Mirror(kv, prefix, decode, options);
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class Mirror<T> implements WatchedMap<T> {
  readonly ready: Promise<void>;
  revision = 0;
  disconnectedSinceMs: number | undefined;
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #decode: (value: Uint8Array, key: string) => T;
  readonly #options: MirrorOptions<T>;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #map = new Map<string, Mirrored<T>>();
  /** What was decoded, to tell at a reload what really changed: a store restored from a backup may
   * hold another value under a known revision. */
  readonly #seen = new Map<string, KvEntry>();
  readonly #waiters = new Set<Waiter>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #loaded = false;

  constructor(
    kv: Kv,
    prefix: string,
    decode: (value: Uint8Array, key: string) => T,
    options: MirrorOptions<T>,
  ) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#decode = decode;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = options.backoff ?? new Backoff();
    this.disconnectedSinceMs = this.#clock.now();
    this.ready = this.reached(1);
    // Whoever never asks for `ready` must not be ended by its rejection at close.
    this.ready.catch(() => undefined);
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.disconnectedSinceMs === undefined;
  }

  get size(): number {
    return this.#map.size;
  }

  get(key: string): Mirrored<T> | undefined {
    return this.#map.get(key);
  }

  entries(): IterableIterator<[string, Mirrored<T>]> {
    return this.#map.entries();
  }

  reached(revision: number, signal?: AbortSignal): Promise<void> {
    if (this.#loaded && this.revision >= revision) return Promise.resolve();
    if (this.#closing.signal.aborted) return Promise.reject(closedError(this.#prefix));
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(MeshError.from(signal.reason));
        return;
      }
      const settle = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        revision,
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = () => {
        waiter.reject(MeshError.from(signal?.reason));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      for (const waiter of [...this.#waiters]) waiter.reject(closedError(this.#prefix));
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const from = await this.#load();
        this.#backoff.reset();
        // Ends with the signal, the Kv's close or a compaction: in the last case load anew.
        const compacted = await this.#follow(from + 1);
        if (!compacted && !signal.aborted) {
          this.#disconnect(unavailable(`the watch of ${this.#prefix} ended`));
          await pause(this.#backoff.nextMs(), signal, this.#clock);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#disconnect(MeshError.from(error));
        await pause(this.#backoff.nextMs(), signal, this.#clock);
      }
    }
  }

  /** Reads all pages and replaces the map. Returns the revision to watch from, less one. */
  async #load(): Promise<number> {
    const fresh = new Map<string, KvEntry>();
    let first: number | undefined;
    let after: string | undefined;
    do {
      const page = await this.#kv.range(this.#prefix, after === undefined ? {} : { after });
      if (this.#closing.signal.aborted) return page.revision;
      first ??= page.revision;
      for (const entry of page.entries) fresh.set(entry.key, entry);
      after = page.next;
    } while (after !== undefined);

    const changes: MirrorChange<T>[] = [];
    for (const key of [...this.#seen.keys()]) {
      if (fresh.has(key)) continue;
      const change = this.#remove(key);
      if (change !== undefined) changes.push(change);
    }
    for (const entry of fresh.values()) {
      if (isSame(this.#seen.get(entry.key), entry)) continue;
      const change = this.#set(entry);
      if (change !== undefined) changes.push(change);
    }
    // Later pages may be ahead of the first; the watch repeats what lies between.
    this.revision = first;
    this.disconnectedSinceMs = undefined;
    if (changes.length > 0 || !this.#loaded) this.#emit(changes);
    this.#loaded = true;
    this.#wake();
    return first;
  }

  /** Returns whether the watch ended by compaction. */
  async #follow(fromRevision: number): Promise<boolean> {
    const watch = this.#kv.watch(this.#prefix, {
      fromRevision,
      signal: this.#closing.signal,
      onConnection: (state, reason) => {
        if (state === 'connected') this.disconnectedSinceMs = undefined;
        else this.#disconnect(MeshError.from(reason));
      },
    });
    for await (const event of watch) {
      if (this.#closing.signal.aborted) return false;
      if (event.type === 'compacted') return true;
      const changes = event.changes
        .map((change) => this.#apply(change, event.revision))
        .filter((change) => change !== undefined);
      this.revision = event.revision;
      if (changes.length > 0) this.#emit(changes);
      this.#wake();
    }
    return false;
  }

  #apply(change: KvChange, revision: number): MirrorChange<T> | undefined {
    const known = this.#seen.get(change.key);
    // A later page of the load may already hold a newer state than this event tells of.
    if (known !== undefined && known.modRevision >= revision) return undefined;
    return change.type === 'put' ? this.#set(change.entry) : this.#remove(change.key);
  }

  #remove(key: string): MirrorChange<T> | undefined {
    this.#seen.delete(key);
    const previous = this.#map.get(key);
    if (previous === undefined) return undefined;
    this.#map.delete(key);
    return { key, previous, current: undefined };
  }

  #set(entry: KvEntry): MirrorChange<T> | undefined {
    const previous = this.#map.get(entry.key);
    this.#seen.set(entry.key, entry);
    let current: Mirrored<T> | undefined;
    try {
      const { modRevision, createRevision, lease } = entry;
      current = {
        value: this.#decode(entry.value, entry.key),
        modRevision,
        createRevision,
        ...(lease === undefined ? {} : { lease }),
      };
      this.#map.set(entry.key, current);
    } catch (error) {
      this.#map.delete(entry.key);
      this.#options.onError(MeshError.from(error), entry.key);
      if (previous === undefined) return undefined;
    }
    return { key: entry.key, previous, current };
  }

  #emit(changes: readonly MirrorChange<T>[]): void {
    try {
      this.#options.onChange?.(changes, this.revision);
    } catch (error) {
      this.#options.onError(MeshError.from(error));
    }
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) {
      if (this.revision >= waiter.revision) waiter.resolve();
    }
  }

  #disconnect(error: MeshError): void {
    this.disconnectedSinceMs ??= this.#clock.now();
    this.#options.onError(error);
  }
}

const isSame = (a: KvEntry | undefined, b: KvEntry): boolean =>
  a !== undefined &&
  a.modRevision === b.modRevision &&
  a.createRevision === b.createRevision &&
  a.lease === b.lease &&
  Buffer.compare(a.value, b.value) === 0;

const closedError = (prefix: string): MeshError =>
  new MeshError('Cancelled', `the mirror of ${prefix} is closed`);
