import type { LatePolicy, Session } from './mesh-port.ts';

/** An event that waits for its time. */
export interface ScheduledEvent {
  readonly topic: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** `KIND:NAME` of whoever published it. */
  readonly principal: string;
  readonly deliverAtMs: number;
  readonly latePolicy: LatePolicy;
  /** Among the timers. */
  readonly position: number;
}

/** Scheduled events of the caller's tenant at this site. Errors: PermissionDenied, NotFound. */
export interface ScheduledEventsPort {
  /**
   * The first ones due, and how many wait in all.
   * @param size 1 to 1,000
   */
  list(
    session: Session,
    size: number,
  ): Promise<{ readonly events: readonly ScheduledEvent[]; readonly pending: number }>;
  /**
   * Takes back what has this id and this source. An empty source will do when only one has events with
   * this id that wait.
   * @returns how many events will not be published now
   * @throws InvalidArgument that names the sources when there are several; Aborted while the timers
   *   change too fast.
   */
  cancel(session: Session, id: string, source: string): Promise<number>;
}
