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
}

/** A topic seen or catalogued here. */
export interface TopicView {
  readonly topic: string;
  readonly events: number;
  readonly lastTimeMs: number;
}

/** Looking without touching; each needs the right to. */
export interface InspectPort {
  trace(
    session: Session,
    eventId: string,
    source?: string,
  ): Promise<{
    readonly steps: readonly TraceStep[];
    readonly unreachableSites: readonly string[];
  }>;
  sites(session: Session): Promise<{
    readonly site: string;
    readonly sites: readonly SiteView[];
    readonly routes: readonly {
      readonly destination: string;
      readonly nextHop: string;
      readonly cost: number;
    }[];
  }>;
  ledger(session: Session): Promise<readonly LedgerLine[]>;
  topics(session: Session): Promise<readonly TopicView[]>;
}
