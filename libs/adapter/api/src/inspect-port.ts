import type { Session } from './mesh-port.ts';

/** One thing that happened to an event. */
export interface TraceStep {
  readonly site: string;
  readonly timeUs: number;
  readonly step: string;
  readonly subject: string;
  readonly detail: string;
  readonly partition: number;
  readonly position: number;
  readonly source: string;
  readonly topic: string;
}

export interface SiteView {
  readonly site: string;
  readonly links: readonly { readonly to: string; readonly cost: number; readonly up: boolean }[];
  readonly interest: readonly { readonly tenant: string; readonly topicFilter: string }[];
  readonly httpAddress: string;
}

/**
 * Positions of a log of the asked site at which a neighbour had taken events before the log was brought
 * back from an older copy: they are lost here, but for those that the copy had, and still there. Other
 * events have these positions by now, or will.
 */
export interface LostRange {
  /** The neighbour. */
  readonly site: string;
  readonly partition: number;
  /** Both ends included. */
  readonly from: number;
  readonly to: number;
  /** Last position of the log when it was found. */
  readonly end: number;
  /** When it was found, ms since the epoch. */
  readonly foundMs: number;
}

export interface LedgerLine {
  readonly tenant: string;
  /** Empty for the tenant's own line (what was accepted). */
  readonly subscription: string;
  readonly accepted: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly held: number;
  /**
   * When this line began to count, ms since the epoch; 0: with the subscription's start. That of a
   * direct subscription counts since the emeshers run; this is when the one began that is asked.
   */
  readonly sinceMs: number;
}

/** One question to the books, and what came out. */
export interface LedgerFinding {
  readonly tenant: string;
  /** Empty when it is about the tenant as a whole. */
  readonly subscription: string;
  /**
   * What was compared: `outcomes`, `progress`, `stored` or `dead-letters`; `emeshers` when some of
   * the site did not answer; `restored` for a log that has lost events (see `LostRange`).
   */
  readonly check: string;
  /** What the store, or the other side of the sum, says. */
  readonly expected: number;
  /** What the counters say. */
  readonly counted: number;
  /** `ok`, `difference`, or `unknown` when there is nothing to compare with. */
  readonly verdict: 'ok' | 'difference' | 'unknown';
  /** What was compared with what, and what a difference may mean. */
  readonly detail: string;
}

export type WhyState =
  | 'refused'
  | 'delivered'
  | 'filtered'
  | 'forbidden'
  | 'expired'
  | 'ready'
  | 'out'
  | 'backoff'
  | 'key'
  | 'burying'
  | 'paused'
  | 'not-read'
  | 'scheduled'
  | 'dead-lettered'
  | 'dropped'
  | 'before-start'
  | 'settled'
  | 'gone'
  | 'not-here'
  | 'on-link'
  | 'link-accepted';

/** What became of an event for one subscription, on one link, or at the gate; and why. */
export interface WhyAnswer {
  readonly site: string;
  /** Name of a subscription; `link to <site>`; `publish` for a refusal at the gate. */
  readonly subject: string;
  readonly state: WhyState;
  /** The same as a sentence, with what decided. */
  readonly reason: string;
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  /** Where the event lies at that site; 0 when it does not. */
  readonly position: number;
  /** Deliveries so far. */
  readonly attempts: number;
  /** Who has, or had, it last; empty for nobody. */
  readonly consumer: string;
  /** When it happened, microseconds since the epoch; 0 when that is not known. */
  readonly timeUs: number;
  /** When something happens next, ms since the epoch; 0 when that is not known. */
  readonly nextMs: number;
  /** Revisions of this site when it took the event in, and those in force now; 0 when not known. */
  readonly policyRevision: number;
  readonly policyRevisionNow: number;
  readonly grantsRevision: number;
  readonly grantsRevisionNow: number;
  /** Revision of the grants that the answer is by; 0 when it does not depend on grants. */
  readonly grantsRevisionJudged: number;
}

/** An emesher whose memory is not, or not wholly, in the answer of its site. */
export interface SilentEmesher {
  readonly site: string;
  /** Its member id. */
  readonly emesher: string;
  /** Why, as a sentence. */
  readonly reason: string;
}

/** Positions of a partition that were looked at for an event; `to` below `from`: none. */
export interface WhySearch {
  readonly site: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** First position still stored. */
  readonly first: number;
}

export interface WhyQuery {
  readonly eventId: string;
  /** Only this source. */
  readonly source?: string;
  /** Only this subscription. */
  readonly subscription?: string;
}

export interface WhyReport {
  readonly answers: readonly WhyAnswer[];
  readonly unreachableSites: readonly string[];
  /** What these remember of the event and have refused is missing. */
  readonly silentEmeshers: readonly SilentEmesher[];
  /** How far each site has looked in its store; empty for one that remembered the event. */
  readonly searches: readonly WhySearch[];
}

export interface Trace {
  /** Of all sites, by time. */
  readonly steps: readonly TraceStep[];
  readonly unreachableSites: readonly string[];
  /** What these remember of the event is missing. */
  readonly silentEmeshers: readonly SilentEmesher[];
}

export interface LogView {
  readonly log: string;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly partitions: readonly {
    readonly partition: number;
    readonly first: number;
    readonly last: number;
    readonly bytes: number;
  }[];
}

/** A store, how strong it was found to be, and what that rules out. */
export interface StoreView {
  readonly site: string;
  /** Name of the plugin. */
  readonly store: string;
  readonly durability: string;
  /** How the class was found out, one fact a line. */
  readonly evidence: readonly string[];
  /** What keeps it from being stronger, and what to change. */
  readonly warnings: readonly string[];
  readonly recordBytesMax: number;
  /** Logs of the caller's tenant. */
  readonly logs: readonly LogView[];
  /** Catalogued topics that demand more than the store does: publishing there is refused. */
  readonly refusedTopics: readonly { readonly topicFilter: string; readonly demands: string }[];
}

/** A topic seen or catalogued here. */
export interface TopicView {
  readonly topic: string;
  readonly events: number;
  readonly lastTimeMs: number;
}

/** Looking without touching; each needs the right to. */
export interface InspectPort {
  trace(session: Session, eventId: string, source?: string): Promise<Trace>;
  sites(session: Session): Promise<{
    readonly site: string;
    readonly sites: readonly SiteView[];
    readonly routes: readonly {
      readonly destination: string;
      readonly nextHop: string;
      readonly cost: number;
    }[];
    /** Of the caller's tenant, as long as events are retained (at most 30 days where that is for ever). */
    readonly lost: readonly LostRange[];
  }>;
  ledger(session: Session): Promise<readonly LedgerLine[]>;
  /** Reconciles the books with the store; exact only while nothing is under way. */
  checkLedger(session: Session): Promise<readonly LedgerFinding[]>;
  /** @throws NotFound for a subscription that no known site has. */
  why(session: Session, query: WhyQuery): Promise<WhyReport>;
  store(session: Session): Promise<StoreView>;
  topics(session: Session): Promise<readonly TopicView[]>;
}
