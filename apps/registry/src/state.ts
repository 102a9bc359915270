import { MeshError } from '@eventmesh/errors';
import { mirror, type Clock, type Kv, type Mirrored, type WatchedMap } from '@eventmesh/kv-api';
import { DECODE, type Area, type Areas } from './keys.ts';

/** One key that changed; `current` is undefined when it is gone, `previous` when it is new. */
export type StateChange = {
  [A in Area]: {
    readonly area: A;
    /** The key below its area. */
    readonly key: string;
    readonly previous: Areas[A] | undefined;
    readonly current: Areas[A] | undefined;
  };
}[Area];

export type StateListener = (changes: readonly StateChange[], revision: number) => void;

type Maps = { readonly [A in Area]: ReadonlyMap<string, Mirrored<Areas[A]>> };

/**
 * The registry's state as of one revision, kept by one watch over all of it. Because it is one
 * sequence, whoever has seen a key's revision has seen everything that was written before it: that
 * is what lets any replica write what it derives from the state with a compare-and-set.
 */
export class RegistryState {
  readonly maps: Maps;
  readonly #mutable: { readonly [A in Area]: Map<string, Mirrored<Areas[A]>> };
  readonly #listeners = new Set<StateListener>();
  readonly #mirror: WatchedMap<unknown>;

  constructor(kv: Kv, options: { clock: Clock; onError: (error: MeshError, at?: string) => void }) {
    this.#mutable = {
      members: new Map(),
      leases: new Map(),
      applied: new Map(),
      subscriptions: new Map(),
      links: new Map(),
      advertisements: new Map(),
      acknowledgements: new Map(),
    };
    this.maps = this.#mutable;
    this.#mirror = mirror<unknown>(kv, '', decode, {
      clock: options.clock,
      onError: options.onError,
      onChange: (changes, revision) => {
        const typed: StateChange[] = [];
        for (const change of changes) typed.push(this.#apply(change));
        for (const listener of [...this.#listeners]) listener(typed, revision);
      },
    });
  }

  get ready(): Promise<void> {
    return this.#mirror.ready;
  }

  get revision(): number {
    return this.#mirror.revision;
  }

  /** Milliseconds since the store was last known to be there; 0 while it is. */
  ageMs(clock: Clock): number {
    const since = this.#mirror.disconnectedSinceMs;
    return since === undefined ? 0 : clock.now() - since;
  }

  /**
   * Resolves when the state includes a revision of a key below its root. Gives up as Unavailable
   * after 5 s: the write has happened, but nothing that is derived from it can be promised.
   */
  async reached(revision: number, signal?: AbortSignal): Promise<void> {
    const late = AbortSignal.timeout(5000);
    try {
      await this.#mirror.reached(
        revision,
        signal === undefined ? late : AbortSignal.any([late, signal]),
      );
    } catch (error) {
      if (!late.aborted) throw error;
      throw new MeshError(
        'Unavailable',
        'the control state does not answer; what was written shows when it does',
        { retryAfterMs: 1000 },
        error,
      );
    }
  }

  /** Calls back after each change, in order of revision; the listener must not throw. */
  onChange(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return this.#mirror.close();
  }

  #apply(change: {
    readonly key: string;
    readonly previous: Mirrored<unknown> | undefined;
    readonly current: Mirrored<unknown> | undefined;
  }): StateChange {
    const at = change.key.indexOf('/');
    const area = change.key.slice(0, at) as Area;
    const key = change.key.slice(at + 1);
    const { current } = change;
    if (area === 'subscriptions' && current !== undefined) {
      (current.value as Areas['subscriptions']).revision = BigInt(current.modRevision);
    }
    const map = this.#mutable[area] as Map<string, Mirrored<unknown>>;
    if (current === undefined) map.delete(key);
    else map.set(key, current);
    return { area, key, previous: change.previous?.value, current: current?.value } as StateChange;
  }
}

function decode(value: Uint8Array, at: string): unknown {
  const area = at.slice(0, at.indexOf('/'));
  const decoder = (DECODE as Record<string, ((value: Uint8Array) => unknown) | undefined>)[area];
  if (decoder === undefined) {
    throw new MeshError('DataLoss', `the control state has an unknown key ${at}`);
  }
  return decoder(value);
}
