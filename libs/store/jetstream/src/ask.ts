import { MeshError } from '@eventmesh/errors';
import { Backoff, pause } from '@eventmesh/time';
import { fromJetStream, isPassing, noAnswer } from './api-error.ts';
import type { Connection } from './connection.ts';

const PAUSE_MS = 20;
const PAUSE_MS_MAX = 500;
/**
 * A call that was not answered for so long, or for half of its time, is made again: a server that
 * goes, or a leader that is just being elected, answers none of those it got before.
 */
const ATTEMPT_MS_MAX = 2500;

/**
 * Waits for what passes: a stream without a leader, servers that start, a replica that lags. Its
 * pauses double up to half a second, so the time it has bounds the attempts too.
 */
export class Patience {
  readonly #connection: Connection;
  readonly #timeMs: number;
  #deadline: number;
  readonly #backoff = new Backoff({ baseMs: PAUSE_MS, maxMs: PAUSE_MS_MAX });
  #said: MeshError | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#timeMs = connection.patienceMs;
    this.#deadline = Date.now() + this.#timeMs;
  }

  /** There was progress: all of its time is there again. */
  renew(): void {
    this.#deadline = Date.now() + this.#timeMs;
    this.#backoff.reset();
    this.#said = undefined;
  }

  /** What comes of an attempt, or Unavailable when that takes too long. */
  async within<T>(attempt: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const attemptMs = Math.min(ATTEMPT_MS_MAX, Math.ceil(this.#timeMs / 2));
      const ms = Math.max(1, Math.min(attemptMs, this.#deadline - Date.now()));
      timer = setTimeout(() => reject(noAnswer()), ms);
    });
    try {
      return await Promise.race([attempt, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Waits before the next attempt.
   *
   * @throws MeshError what failed, when that does not pass or there is no time left.
   */
  async pause(error: unknown): Promise<void> {
    const failure = fromJetStream(error);
    if (this.#connection.closed) this.#connection.checkUp();
    if (!isPassing(failure)) throw failure;
    // What was said before tells more than the silence of an attempt that had little time.
    if (failure.reason !== 'NO_ANSWER') this.#said = failure;
    const pauseMs = this.#backoff.nextMs();
    if (Date.now() + pauseMs >= this.#deadline) {
      const { message, details, cause } = this.#said ?? failure;
      const waited = `${message}; it was waited for ${this.#timeMs} ms`;
      throw new MeshError('Unavailable', waited, details, cause);
    }
    await pause(pauseMs);
  }
}

/**
 * Every call of the JetStream API goes through here: it is made again while nobody leads who could
 * answer, until its time is up. So it must be one that may be made twice.
 *
 * @throws MeshError Unavailable at once while there is no connection, and when the time is up with
 *   the reason: NO_LEADER, NO_ANSWER, NO_PEERS, NO_CONNECTION. Anything else that was answered.
 */
export async function ask<T>(connection: Connection, call: () => Promise<T>): Promise<T> {
  connection.checkUp();
  const patience = new Patience(connection);
  // An answer that comes late is as good: a server may just be slow.
  const attempts = new Set<Promise<T>>();
  for (;;) {
    const attempt = call();
    attempts.add(attempt);
    attempt.catch(() => attempts.delete(attempt));
    try {
      return await patience.within(Promise.race(attempts));
    } catch (error) {
      await patience.pause(error);
    }
  }
}
