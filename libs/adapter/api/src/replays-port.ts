import type { Start } from '@eventmesh/delivery';
import type { Session } from './mesh-port.ts';

/** A lane through a subscription's past, beside its live deliveries. */
export interface ReplayOptions {
  readonly from: Start;
  /** Up to events stored before this, ms since the epoch; 0: what is stored when the lane opens. */
  readonly toMs: number;
  /** Events a second at most; 0: as fast as credit allows. At most 1,000,000. */
  readonly rateMax: number;
}

export interface ReplayPreview {
  readonly events: number;
  readonly bytes: number;
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
  readonly lag: number;
  readonly rateMax: number;
  readonly startedMs: number;
}

/** Replay lanes of the caller's tenant at this emesher; one is opened by `attach` with `replay`. */
export interface ReplaysPort {
  preview(session: Session, subscription: string, options: ReplayOptions): Promise<ReplayPreview>;
  list(session: Session, subscription?: string): Promise<readonly ReplayStatus[]>;
  /** @throws NotFound when there is no such lane here. */
  stop(session: Session, id: string): Promise<void>;
}
