import { MeshError } from '@eventmesh/errors';
import { pause } from '@eventmesh/time';

/** Attempts of one call. */
const ATTEMPTS_MAX = 3;
/** A connection on which calls fail has that many failures to give before it is spared retries. */
const TOKENS_MAX = 10;
/** What a call that succeeded gives back of a token. */
const TOKENS_BACK = 0.1;

/** Which failures of a call may be repeated: every Unavailable, or those that the server answered. */
export type Repeatable = 'unavailable' | 'refused';

/** A broken connection has no reason; an answer of the mesh always has one. */
const answered = ({ details }: MeshError): boolean =>
  details.reason !== undefined || details.unknownReason !== undefined;

/**
 * Retries of one connection: only of calls that may be repeated, only after Unavailable, at most
 * three attempts, all of them before the call's own deadline; and none while most calls fail, so that
 * retries do not keep down what is down.
 */
export class Retries {
  #tokens = TOKENS_MAX;

  /**
   * @param once One attempt, which ends by the deadline (ms since the epoch).
   * @param signal Ends the pause between attempts, too.
   */
  async run<T>(
    once: (deadlineMs: number) => Promise<T>,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    which: Repeatable = 'unavailable',
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await once(deadlineMs);
        this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_BACK);
        return reply;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (error.code !== 'Unavailable') throw error;
        if (which === 'refused' && !answered(error)) throw error;
        this.#tokens = Math.max(0, this.#tokens - 1);
        // Full jitter, so that callers cut off together do not come back together.
        const pauseMs = Math.random() * 100 * 2 ** attempt;
        const late = Date.now() + pauseMs >= deadlineMs;
        if (attempt === ATTEMPTS_MAX || late || this.#tokens <= TOKENS_MAX / 2) throw error;
        await pause(pauseMs, signal);
        signal?.throwIfAborted();
      }
    }
  }
}
