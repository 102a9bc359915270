import type { Session } from './mesh-port.ts';

/** An event that a subscription could not deliver, with why. */
export interface DeadLetter {
  /** Position in the tenant's log of dead letters of this site. */
  readonly id: number;
  readonly subscription: string;
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
  readonly subscription?: string;
  /** Exactly this cause. */
  readonly cause?: string;
  readonly ids?: readonly number[];
}

/** Dead letters of one subscription that share a cause. */
export interface DeadLetterGroup {
  readonly subscription: string;
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
}

/** The dead letters of the caller's tenant at this site. Errors: PermissionDenied, NotFound. */
export interface DeadLettersPort {
  list(
    session: Session,
    selection: DeadLetterSelection,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly items: readonly DeadLetter[]; readonly nextToken: string }>;
  get(session: Session, id: number): Promise<DeadLetter>;
  groups(session: Session, selection: DeadLetterSelection): Promise<readonly DeadLetterGroup[]>;
  status(session: Session): Promise<DeadLetterStatus>;
  /**
   * Gives dead letters back to the subscription that gave them up, and to no other.
   * @param rateMax Events a second at most; 0: as fast as the store takes them.
   * @returns what became of them; `missing` are those whose subscription is gone.
   */
  redrive(
    session: Session,
    selection: DeadLetterSelection,
    options: { readonly rateMax: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly redriven: number; readonly missing: number }>;
  /** Forgets dead letters for good. */
  purge(session: Session, selection: DeadLetterSelection): Promise<{ readonly purged: number }>;
}
