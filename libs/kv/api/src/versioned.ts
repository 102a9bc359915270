import { MeshError } from '@eventmesh/errors';
import type { Kv, KvOperation } from './kv.ts';
import { mirror, type MirrorChange, type MirrorOptions, type Mirrored } from './mirror.ts';

/** The key whose revision is the version of all the others. */
const MARKER = 'version';
/** Tries of a commit that keeps losing against other writers. */
const COMMIT_TRIES_MAX = 20;

/**
 * The whole of a (prefixed) Kv as a state with one version: every commit is checked against the
 * state it was planned on and raises the version, so that rules over many keys hold for all
 * replicas, and a reader at a version has seen exactly what led to it. For control state that
 * changes seldom: commits of all replicas exclude each other.
 */
export interface VersionedState<T> {
  /** Resolves after the first load. */
  readonly ready: Promise<void>;
  /** The version shown, the Kv's revision of the last commit; 0 when nothing was ever committed. */
  readonly version: number;
  /** Since when the store cannot be reached, in ms of the clock; undefined while it can. */
  readonly disconnectedSinceMs: number | undefined;
  get(key: string): Mirrored<T> | undefined;
  entries(): IterableIterator<[string, Mirrored<T>]>;
  /**
   * Applies what `plan` answers from the state shown, at most 126 operations; plans again when
   * another commit came first. No operations: nothing is done. Resolves with the version, once it
   * is shown here. What `plan` throws refuses the commit.
   */
  commit(plan: () => readonly KvOperation[]): Promise<number>;
  /** Resolves at the next change of the version, or when the signal aborts; never rejects. */
  changed(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface VersionedOptions<T> extends Omit<MirrorOptions<T>, 'onChange'> {
  /** As `MirrorOptions.onChange`, with the version then shown; must not throw. */
  readonly onChange?: (changes: readonly MirrorChange<T>[], version: number) => void;
}

/** `kv` must be the state's own part of a store: see `prefixed`. */
export function versionedState<T>(
  kv: Kv,
  decode: (value: Uint8Array, key: string) => T,
  options: VersionedOptions<T>,
): VersionedState<T> {
  const waiting = new Set<() => void>();
  let told = -1;
  const version = () => map.get(MARKER)?.modRevision ?? 0;
  const map = mirror<T>(
    kv,
    '',
    // The marker's value is never handed out.
    (value, key) => (key === MARKER ? (undefined as T) : decode(value, key)),
    {
      ...options,
      onChange: (changes) => {
        options.onChange?.(
          changes.filter(({ key }) => key !== MARKER),
          version(),
        );
        if (version() === told) return;
        told = version();
        for (const wake of [...waiting]) wake();
      },
    },
  );

  // One at a time here, so that only other processes can come first.
  let turn: Promise<unknown> = Promise.resolve();
  const commit = (plan: () => readonly KvOperation[]): Promise<number> => {
    const result = turn.then(() => attempt(plan));
    // The next one does not care how this one ends; its caller does.
    turn = result.catch(() => undefined);
    return result;
  };

  async function attempt(plan: () => readonly KvOperation[]): Promise<number> {
    await map.ready;
    for (let tries = 0; tries < COMMIT_TRIES_MAX; tries++) {
      const planned = version();
      const operations = plan();
      if (operations.length === 0) return planned;
      const result = await kv.transact({
        compare: [{ key: MARKER, modRevision: planned }],
        then: [...operations, { type: 'put', key: MARKER, value: new Uint8Array() }],
      });
      await map.reached(result.applied ? result.revision : (result.current[0]?.modRevision ?? 0));
      if (result.applied) return result.revision;
    }
    throw new MeshError('Aborted', 'other changes kept coming first; try again');
  }

  return {
    ready: map.ready,
    get version() {
      return version();
    },
    get disconnectedSinceMs() {
      return map.disconnectedSinceMs;
    },
    get: (key) => map.get(key),
    *entries() {
      for (const entry of map.entries()) if (entry[0] !== MARKER) yield entry;
    },
    commit,
    changed: (signal) =>
      new Promise((resolve) => {
        const done = () => {
          waiting.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        waiting.add(done);
        signal.addEventListener('abort', done, { once: true });
        if (signal.aborted) done();
      }),
    close: () => map.close(),
  };
}
