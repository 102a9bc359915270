import { expect } from '@jest/globals';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import type { Kv, KvWatchEvent } from '@eventmesh/kv-api';

/**
 * - `connection-loss`: the plugin talks to a server; claim it and give `cut` and `heal`.
 * - `restart`: the state can be closed and opened again; claim it and give `restart`.
 */
export type KvCapability = 'connection-loss' | 'restart';

/** A Kv on empty state, and the means to disturb it. */
export interface KvUnderTest {
  readonly kv: Kv;
  /** A second Kv on the same state, which `cut` does not touch. */
  readonly other: Kv;
  /** The shortest lease the plugin grants, in milliseconds. */
  readonly leaseTtlMs: number;
  /** The longest key it takes. Default `KV_KEY_BYTES_MAX`. */
  readonly keyBytesMax?: number;
  /** Gives up the history up to and including `revision`. */
  compact(revision: number): Promise<void>;
  /** Takes the connection of `kv` away until `heal`. */
  cut?(): void;
  heal?(): void;
  /** Closes both, opens the state again and answers the new `kv`. */
  restart?(): Promise<Kv>;
  /** Closes everything and removes the state. */
  dispose(): Promise<void>;
}

export class Suite {
  readonly #make: () => Promise<KvUnderTest>;
  #under: KvUnderTest | undefined;
  #restarted: Kv | undefined;
  #spaces = 0;

  constructor(make: () => Promise<KvUnderTest>) {
    this.#make = make;
  }

  async start(): Promise<void> {
    this.#under = await this.#make();
  }

  async stop(): Promise<void> {
    await this.#under?.dispose();
  }

  get under(): KvUnderTest {
    if (this.#under === undefined) throw new Error('the Kv under test did not start');
    return this.#under;
  }

  get kv(): Kv {
    return this.#restarted ?? this.under.kv;
  }

  async restart(): Promise<void> {
    if (this.under.restart === undefined) throw new Error('restart is claimed but not given');
    this.#restarted = await this.under.restart();
  }

  /** A prefix no other test uses. */
  space(): string {
    this.#spaces += 1;
    return `space${this.#spaces}/`;
  }

  /** The store's revision. */
  async revision(): Promise<number> {
    return (await this.kv.range('none/', { limit: 1 })).revision;
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

/** Writes and expects it to be applied. Returns the revision. */
export async function put(kv: Kv, key: string, value: string, lease?: string): Promise<number> {
  const result = await kv.put(key, bytes(value), lease === undefined ? {} : { lease });
  expect(result.applied).toBe(true);
  return result.revision;
}

export async function expectCode(call: Promise<unknown>, code: MeshCode): Promise<MeshError> {
  const outcome = await call.then(
    () => 'no error',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(MeshError);
  expect((outcome as MeshError).code).toBe(code);
  return outcome as MeshError;
}

/** An event in a form that is easy to compare: `5 a=x` put, `6 -a` delete, `compacted`. */
export function show(event: KvWatchEvent): string {
  if (event.type === 'compacted') return 'compacted';
  const changes = event.changes
    .map((c) => (c.type === 'put' ? `${c.key}=${text(c.entry.value) ?? ''}` : `-${c.key}`))
    .sort();
  return `${event.revision} ${changes.join(' ')}`;
}

/** Follows a watch in the background into a list. */
export class Recording {
  readonly events: string[] = [];
  readonly revisions: number[] = [];
  readonly connection: string[] = [];
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();

  constructor(kv: Kv, prefix: string, fromRevision: number) {
    const watch = kv.watch(prefix, {
      fromRevision,
      signal: this.#stop.signal,
      onConnection: (state) => this.connection.push(state),
    });
    this.ended = (async () => {
      for await (const event of watch) {
        this.events.push(show(event));
        this.revisions.push(event.revision);
      }
    })();
    // A failure shows where the test awaits `ended`.
    this.ended.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}
