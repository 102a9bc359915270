import type { DeliverySink, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';

/** A consumer's place at a subscription where that runs: on this emesher, or through another one. */
export interface Hold {
  credit(events: number, bytes: number): void;
  /** See `Attachment.drain`; resolves also when the hold is over. */
  drain(): Promise<void>;
  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): Settled;
  /** Idempotent; nothing is called any more when it resolves. */
  detach(): Promise<void>;
}

/** Takes a place for a consumer. @throws MeshError why there is none. */
export type TakeHold = (sink: DeliverySink) => Promise<Hold>;

/**
 * Another emesher owns the subscription now, or will: the hold is over, and the consumer may go on
 * from a new one.
 */
export const movedError = (name: string, cause?: unknown): MeshError =>
  new MeshError(
    'Aborted',
    `another emesher owns "${name}" now; reconnect`,
    { reason: 'FENCED', retryAfterMs: 100 },
    cause,
  );

export const isMoved = (error: MeshError | undefined): boolean =>
  error !== undefined && (error.reason === 'FENCED' || error.reason === 'OWNED_ELSEWHERE');

export const exclusiveError = (name: string): MeshError =>
  new MeshError('FailedPrecondition', `"${name}" has its one consumer`, {
    field: 'subscription',
    reason: 'EXCLUSIVE',
  });

export const changedError = (name: string): MeshError =>
  new MeshError('Aborted', `"${name}" was changed; reconnect`, { reason: 'SUBSCRIPTION_CHANGED' });

export const deletedError = (name: string): MeshError =>
  new MeshError('NotFound', `subscription "${name}" was deleted`, { field: 'subscription' });
