import type { ReplayOptions } from '@eventmesh/delivery';
import type { Session } from './mesh-port.ts';

export type { ReplayOptions };

export interface ReplayPreview {
  /** What would be delivered, and its bytes without the mark of the lane. */
  readonly events: number;
  readonly bytes: number;
  /** Match, but their life has ended; among `events` only when they are asked for. */
  readonly expired: number;
  /** Records looked at. */
  readonly considered: number;
  /** Positions asked for that are no longer in the store. */
  readonly gaps: readonly {
    readonly partition: number;
    readonly from: number;
    readonly to: number;
  }[];
}

export interface ReplayStatus {
  readonly id: string;
  readonly subscription: string;
  readonly consumer: string;
  readonly delivered: number;
  readonly filtered: number;
  readonly dropped: number;
  readonly expired: number;
  /** Records still to be looked at. */
  readonly lag: number;
  readonly rateMax: number;
  readonly startedMs: number;
}

/** Replay lanes of the caller's tenant at this site; one is opened by `attach` with `replay`. */
export interface ReplaysPort {
  /**
   * Counts what a lane would deliver; reads the store, so it takes as long as the part is large.
   * @param signal Gives up, with Cancelled.
   * @throws ResourceExhausted (REPLAYS_MAX): it counts as a lane while it reads.
   */
  preview(
    session: Session,
    subscription: string,
    options: ReplayOptions,
    signal?: AbortSignal,
  ): Promise<ReplayPreview>;
  list(session: Session, subscription?: string): Promise<readonly ReplayStatus[]>;
  /** @throws NotFound; Unavailable when it may be at an emesher that does not answer. */
  stop(session: Session, id: string): Promise<void>;
}
