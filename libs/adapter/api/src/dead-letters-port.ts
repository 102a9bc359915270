import { invalid } from '@eventmesh/errors';
import type { Session } from './mesh-port.ts';

/** An event that a subscription could not deliver, or that came too late to be published, with why. */
export interface DeadLetter {
  /** Position in the tenant's log of dead letters of this site. */
  readonly id: number;
  /** Empty for a scheduled event that was never published. */
  readonly subscription: string;
  /**
   * When the subscription was made that gave it up, ms since the epoch: tells it from others of its
   * name. 0 for a scheduled event.
   */
  readonly subscriptionCreatedMs: number;
  /** That subscription is deleted, though there may be another one of its name. */
  readonly subscriptionGone: boolean;
  readonly topic: string;
  readonly eventId: string;
  readonly source: string;
  readonly type: string;
  readonly cause: string;
  readonly attempts: number;
  /** When it became a dead letter, ms since the epoch. */
  readonly deadMs: number;
  /** Where the event lies, or lay, in the site's log. */
  readonly partition: number;
  readonly position: number;
  /** Revision of the policies in force when it was given up. */
  readonly policyRevision: number;
  /** How often it was redriven before. */
  readonly redrives: number;
  /** The original event, byte for byte. */
  readonly event: Uint8Array;
}

/** Which dead letters; everything given must hold. */
export interface DeadLetterSelection {
  /** Of a broadcast: the letters of all its parts. See `isLetterOf`. */
  readonly subscription?: string;
  /** Exactly this cause. */
  readonly cause?: string;
  /** At most `DEAD_LETTER_IDS_MAX`. */
  readonly ids?: readonly number[];
  /** Needed for a change when nothing else is given: every letter of the tenant. */
  readonly all?: boolean;
}

export const DEAD_LETTER_IDS_MAX = 1000;
/** Most events a second of a redrive. */
export const REDRIVE_RATE_MAX = 1_000_000;

/**
 * Whether a letter is one of a subscription. A broadcast gives events up through its parts, which are
 * named `<subscription>:<consumer>`; no other name has a colon.
 */
export const isLetterOf = (
  letter: Pick<DeadLetter, 'subscription'>,
  subscription: string,
): boolean =>
  letter.subscription === subscription || letter.subscription.startsWith(`${subscription}:`);

/**
 * Checks a selection of what is to be changed: nobody purges everything by leaving something out.
 *
 * @throws MeshError InvalidArgument that names the field.
 */
export function checkChange(selection: DeadLetterSelection): void {
  const { subscription, cause, ids, all = false } = selection;
  const given = subscription !== undefined || cause !== undefined || ids !== undefined;
  if (given && all) throw invalid('selection.all', 'goes with nothing else of a selection');
  if (given || all) return;
  throw invalid('selection', 'names no dead letters; give a subscription, a cause, ids or all');
}

/** Dead letters of one subscription that share a cause. */
export interface DeadLetterGroup {
  readonly subscription: string;
  /** As of a letter; those of deleted subscriptions are not counted among those of the one there is. */
  readonly subscriptionGone: boolean;
  readonly cause: string;
  readonly count: number;
  readonly bytes: number;
  readonly oldestMs: number;
  readonly newestMs: number;
}

export interface DeadLetterStatus {
  readonly count: number;
  readonly bytes: number;
  /** The quota; at it, what cannot be delivered is held and not given up. */
  readonly bytesMax: number;
  readonly full: boolean;
  /** From so many bytes on the alarm is raised. */
  readonly alarmBytes: number;
  readonly alarm: boolean;
  /** Age at which letters are dropped, in ms; 0: never. */
  readonly retentionMs: number;
  /** When the oldest one died, ms since the epoch; 0 when there is none. */
  readonly oldestMs: number;
}

export interface ChangeOptions {
  /** Empty at first; then the `nextToken` of the call before. */
  readonly token: string;
  readonly signal?: AbortSignal;
  /** The answer is wanted before this time, ms since the epoch. Default: no such time. */
  readonly deadlineMs?: number | undefined;
}

export interface RedriveOptions extends ChangeOptions {
  /** Events a second at most; 0: as fast as the store takes them. */
  readonly rateMax: number;
}

/** What one call did. It works for some seconds; `nextToken` is empty when all is done. */
export interface RedriveResult {
  readonly redriven: number;
  /**
   * Stay where they are, for their subscription is gone, and there is no other of its name that is
   * durable and can be given events (a broadcast has parts for that).
   */
  readonly missing: number;
  /** Stay where they are: the topic filters or filters of the subscription do not match them. */
  readonly unmatched: number;
  /**
   * Stay where they are: events whose subscription's owner may not receive their topic, and scheduled
   * ones whose publisher, or the caller, may not publish to it.
   */
  readonly forbidden: number;
  readonly nextToken: string;
}

export interface PurgeResult {
  readonly purged: number;
  readonly nextToken: string;
}

/**
 * The dead letters of the caller's tenant at this site, those that the caller may manage.
 * Errors: PermissionDenied, NotFound; Unavailable (NO_OWNER: the emesher that changed them is dead,
 * and no other has taken over in time).
 */
export interface DeadLettersPort {
  /** A page may be short, even empty, while there is a next one. */
  list(
    session: Session,
    selection: DeadLetterSelection,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly items: readonly DeadLetter[]; readonly nextToken: string }>;
  get(session: Session, id: number): Promise<DeadLetter>;
  /** At most 1,000; the rest is together in a last one without subscription and cause. */
  groups(session: Session, selection: DeadLetterSelection): Promise<readonly DeadLetterGroup[]>;
  status(session: Session): Promise<DeadLetterStatus>;
  /**
   * Gives dead letters back to the subscription that gave them up, or to one that was made again under
   * its name, and to no other; those that it cannot get stay, and are counted. Those without one are
   * published as if they came due now. Errors: Unavailable, too, while acl cannot tell who may have them.
   */
  redrive(
    session: Session,
    selection: DeadLetterSelection,
    options: RedriveOptions,
  ): Promise<RedriveResult>;
  /** Forgets dead letters for good. */
  purge(
    session: Session,
    selection: DeadLetterSelection,
    options: ChangeOptions,
  ): Promise<PurgeResult>;
}
