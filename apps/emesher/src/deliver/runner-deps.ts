import type { SettleOutcome } from '@eventmesh/adapter-api';
import type { Assignment, Entry, OnEnded, Subscription } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { DeadLetters } from '../dead/index.ts';
import type { Runner } from './runner.ts';

/** How an event ends that no consumer accepts. */
export type Ending = 'dead-lettered' | 'dropped' | Parameters<OnEnded>[1];

/** What a runner needs besides its subscription. */
export interface RunnerDeps {
  readonly now: () => number;
  readonly random: () => number;
  readonly heldMax: number;
  readonly heldBytesMax: number;
  /** See `delivery` in the configuration. */
  readonly parkedKeysMax: number;
  readonly cursorBytesMax: number;
  readonly retryWindow: number;
  readonly readAheadBytes: number;
  readonly store: Pick<EventStore, 'read'>;
  readonly logName: (tenant: string) => string;
  readonly logger: Logger;
  readonly deadLetters: DeadLetters;
  readonly onDelivered: (
    subscription: Subscription,
    consumer: string,
    deliveries: Assignment['deliveries'],
  ) => void;
  readonly onSettled: (
    subscription: Subscription,
    entries: readonly Entry[],
    outcome: SettleOutcome,
  ) => void;
  /** A newer owner has written this subscription's cursor. */
  readonly onFenced: (runner: Runner) => void;
  /** Events are done with, and no consumer has accepted them. */
  readonly onEnded: (subscription: Subscription, entries: readonly Entry[], how: Ending) => void;
}
