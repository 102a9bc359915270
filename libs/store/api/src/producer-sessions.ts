import type { ProducerSession } from './event-store.ts';
import { producerFenced } from './store-errors.ts';

/** Sessions of idempotent producers that a partition remembers; the longest quiet one goes first. */
export const PRODUCER_SESSIONS_MAX = 10_000;

/** What a partition knows of a session. */
export interface SessionState {
  readonly epoch: number;
  /** Last sequence stored in this epoch; 0 when none. */
  readonly last: number;
  /** Position that the partition had come to when this was written: the order of forgetting. */
  readonly at: number;
}

/**
 * Looks at the sequences of a batch in order.
 *
 * @throws MeshError Aborted (PRODUCER_FENCED) when a greater epoch has written.
 * @returns for each record whether it is new, and the last sequence after the batch.
 */
export function judgeSession(
  stored: SessionState | undefined,
  { id, epoch, sequences }: ProducerSession,
): { readonly fresh: readonly boolean[]; readonly last: number } {
  if (stored !== undefined && epoch < stored.epoch) {
    throw producerFenced(id, epoch, stored.epoch);
  }
  let last = stored !== undefined && epoch === stored.epoch ? stored.last : 0;
  const fresh = sequences.map((sequence) => {
    const above = sequence > last;
    if (above) last = sequence;
    return above;
  });
  return { fresh, last };
}

/** The last sessions of a partition, in the order of their last append. */
export class ProducerSessions {
  readonly #max: number;
  readonly #states = new Map<string, SessionState>();

  /** @param stored in any order; the latest `max` are kept */
  constructor(stored: Iterable<readonly [string, SessionState]> = [], max = PRODUCER_SESSIONS_MAX) {
    this.#max = max;
    for (const [id, state] of [...stored].sort(([, a], [, b]) => a.at - b.at)) this.set(id, state);
  }

  get size(): number {
    return this.#states.size;
  }

  find(id: string): SessionState | undefined {
    return this.#states.get(id);
  }

  /** Remembers a state as the latest; answers the id that had to be forgotten for it, if any. */
  set(id: string, state: SessionState): string | undefined {
    this.#states.delete(id);
    this.#states.set(id, state);
    if (this.#states.size <= this.#max) return undefined;
    const [oldest] = this.#states.keys();
    if (oldest !== undefined) this.#states.delete(oldest);
    return oldest;
  }

  entries(): IterableIterator<[string, SessionState]> {
    return this.#states.entries();
  }
}
