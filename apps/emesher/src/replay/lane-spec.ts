import type { DeliverySink } from '@eventmesh/adapter-api';
import type { Assignment, Counters, ReplayOptions, Subscription } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { CallerSession } from '../session.ts';
import type { Window } from './window.ts';

/** What others are told of a lane. */
export interface LaneName {
  readonly id: string;
  readonly subscription: Subscription;
  readonly consumer: string;
}

/** What all lanes of an emesher share. */
export interface LaneDeps {
  readonly store: EventStore;
  readonly logName: (tenant: string) => string;
  /** Wall clock in ms, since expiry is absolute. */
  readonly now: () => number;
  /** Never goes back; ms. */
  readonly monotonicNow: () => number;
  readonly random: () => number;
  /** Matched events in memory; the rest waits in the store. */
  readonly heldMax: number;
  readonly readAheadBytes: number;
  /** As for the live deliveries; see `RetryPace`. */
  readonly retryWindow: number;
  readonly logger: Logger;
  readonly onDelivered: (lane: LaneName, deliveries: Assignment['deliveries']) => void;
  /** After each step, with what has been counted since the last one. */
  readonly onCounted: (lane: LaneName, since: LaneCounts) => void;
  /** Once, when the lane is over for whatever reason. */
  readonly onEnded: (lane: LaneName) => void;
}

export type LaneCounts = Pick<Counters, 'delivered' | 'filtered' | 'expired' | 'dropped'>;

export interface LaneSpec extends LaneName {
  /** Distinguishes delivery ids of lanes from those of live consumers. */
  readonly epoch: number;
  readonly options: ReplayOptions;
  readonly windows: readonly Window[];
  /** Deliveries are authorised for the caller, on their concrete topics. */
  readonly session: CallerSession;
  readonly sink: DeliverySink;
}
