import type { Stopped, StuckKey, Subscription } from '@eventmesh/delivery';
import type { RecordView } from '@eventmesh/event';
import type { EventStep } from '../journal.ts';

/** Where a stored event stands for a subscription. */
export type Place =
  /** Below where the subscription began. */
  | { readonly kind: 'before-start'; readonly start: string }
  /** Above what was looked at; `lag` records are between. */
  | {
      readonly kind: 'unread';
      readonly lag: number;
      readonly consumers: number | undefined;
      /** Why reading has stopped though a consumer would take more. */
      readonly stopped?: Stopped | undefined;
    }
  /** Looked at, and left in the store behind others of its key. */
  | { readonly kind: 'parked'; readonly stuck: StuckKey }
  | { readonly kind: 'settled' }
  | ({ readonly kind: 'held' } & HeldEvent);

/** A matched event that is not settled, as the delivery engine has it. */
export interface HeldEvent {
  /** `ready` to go out, `out` at a consumer, `later` until its delay is over, `dead` until its letter is durable. */
  readonly state: 'ready' | 'out' | 'later' | 'dead';
  readonly attempts: number;
  readonly failures: number;
  /** Why the last delivery failed; empty when none has. */
  readonly reason: string;
  /** Who has it; empty unless it is out. */
  readonly consumer: string;
  /** When its lease or its delay ends, ms since the epoch; 0 for neither. */
  readonly dueMs: number;
  /** Unsettled events of its key that go before it. */
  readonly ahead: number;
}

/** The grants by which an event was admitted, where they are known and not those of now. */
export interface PastGrants {
  readonly revision: number;
  /** Whether the owner might receive the topic by them. */
  readonly received: boolean;
}

/** Everything that decides what became of an event for one subscription. */
export interface Facts {
  readonly subscription: Subscription;
  readonly record: RecordView;
  readonly position: number;
  /** A broadcast that nobody consumes has no part for an event to stand at. */
  readonly place: Place | { readonly kind: 'no-part' };
  /** What is remembered of the event and this subscription, oldest first. */
  readonly steps: readonly EventStep[];
  /** Whether its owner may receive the topic now; undefined while acl cannot tell. */
  readonly receives: boolean | undefined;
  readonly past: PastGrants | undefined;
  /** The filter that says no, in words; undefined when all say yes. */
  readonly filterProblem: string | undefined;
  readonly nowMs: number;
}
