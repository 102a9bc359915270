import { MeshError } from '@eventmesh/errors';
import { Backoff } from '@eventmesh/time';
import { isMoved, movedError } from '../deliver/hold.ts';
import type { PeerClient, Peers } from './peers.ts';

export interface OwnerCallsDeps {
  readonly peers: Pick<Peers, 'owner' | 'callable'>;
  /** Resolves after the pause, or sooner when the emeshers of the site have changed. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Longest wait for an owner, in ms: longer than the lease of one that died. */
  readonly waitMs: number;
}

/** Something to be done by whichever emesher owns a name; done twice, it must be as done once. */
export interface OwnerCall<T> {
  /** For people: `the dead letters of "acme"`. */
  readonly what: string;
  /** @throws Unavailable (OWNED_ELSEWHERE) when another emesher owns it. */
  readonly here: () => Promise<T>;
  readonly there: (
    client: PeerClient,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ) => Promise<T>;
  readonly signal?: AbortSignal | undefined;
  /** The caller's, ms since the epoch. */
  readonly deadlineMs?: number | undefined;
}

/** Added to a lease: until the registry's store has ended it, and every emesher has heard of that. */
export const TAKEOVER_LAG_MS = 5000;
/** An owner that is reached and does not answer in this time counts as gone, in ms. */
const CALL_MS_MAX = 30_000;
/** Kept of the caller's deadline, so that it gets an answer and not just the end of it, in ms. */
const ANSWER_MS = 250;
/** First and longest pause between two attempts, in ms; each is jittered. */
const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1000;
/** How an owner fails that is dead, stopped or cut off. */
const GONE: ReadonlySet<string> = new Set(['Unavailable', 'Cancelled', 'DeadlineExceeded']);

/**
 * Calls that must reach the owner of a name: here while nobody else owns it, passed on to the owner
 * otherwise. When the owner moves they follow it, and when it is dead they wait until its lease has
 * ended and this emesher can take over.
 */
export class OwnerCalls {
  readonly #deps: OwnerCallsDeps;

  constructor(deps: OwnerCallsDeps) {
    this.#deps = deps;
  }

  /** @throws Unavailable (NO_OWNER) when nobody did it in time; else why it cannot be done. */
  async run<T>(call: OwnerCall<T>): Promise<T> {
    const { signal = new AbortController().signal, deadlineMs = Infinity } = call;
    const left = deadlineMs - Date.now() - ANSWER_MS;
    const waitMs = Math.max(0, Math.min(this.#deps.waitMs, left));
    const end = performance.now() + waitMs;
    const backoff = new Backoff({ baseMs: PAUSE_MS, maxMs: PAUSE_MS_MAX });
    for (;;) {
      try {
        return await this.#once(call, signal);
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (!isMoved(error) || signal.aborted) throw error;
        const now = performance.now();
        if (now >= end) throw this.#final(call.what, error);
        await this.#deps.pause(Math.min(backoff.nextMs(), end - now), signal);
      }
    }
  }

  async #once<T>(call: OwnerCall<T>, signal: AbortSignal): Promise<T> {
    try {
      return await call.here();
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.reason !== 'OWNED_ELSEWHERE') throw error;
      const { client, left } = await this.#deps.peers.owner(error);
      const timeoutMs = Math.min(CALL_MS_MAX, (call.deadlineMs ?? Infinity) - Date.now());
      try {
        const options = { signal: AbortSignal.any([signal, left]), timeoutMs };
        return await call.there(client, { ...options, timeoutMs: Math.max(1, timeoutMs) });
      } catch (failed) {
        const failure = MeshError.from(failed);
        if (isMoved(failure) || !GONE.has(failure.code)) throw failure;
        throw movedError(call.what, failure);
      }
    }
  }

  #final(what: string, error: MeshError): MeshError {
    // Who cannot be called from here can be called by the client.
    if (!this.#deps.peers.callable) return error;
    const { cause } = error;
    const why = cause instanceof MeshError ? `: ${cause.message}` : '';
    return new MeshError(
      'Unavailable',
      `the emesher that works on ${what} does not answer${why}; another one takes over when its lease has ended; try again`,
      { reason: 'NO_OWNER', retryAfterMs: 1000 },
      error,
    );
  }
}
