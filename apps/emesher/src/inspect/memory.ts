import type { SilentEmesher } from '@eventmesh/adapter-api';
import type { CallerSession } from '../session.ts';
import type { EventPlace, EventStep } from './journal.ts';
import type { Refusal } from './refusals.ts';
import type { Place } from './why/facts.ts';

/** Who looks, and at what. */
export interface Inspector {
  readonly tenant: string;
  /** Undefined: a neighbouring site, which has checked the right of who asks there. */
  readonly caller: CallerSession | undefined;
  /** What the right to inspect is needed for. */
  readonly resource: 'trace' | 'why' | 'ledger';
}

/** What emeshers remember of an id. */
export interface Recalled {
  /** Where records lie that are probably the event; only reading them tells. Oldest first. */
  readonly places: readonly EventPlace[];
  /** Oldest first. */
  readonly refusals: readonly Refusal[];
  /** Whether there was more than fits an answer. */
  readonly more: boolean;
}

/** Where an event stands for a subscription that runs. */
export interface Standing extends EventPlace {
  readonly subscription: string;
  /** Of the ownership that it runs under; of two answers the higher one is right. */
  readonly epoch: number;
  readonly place: Place;
}

/** How an event stands to a link. */
export interface OnLink extends EventPlace {
  /** The neighbouring site. */
  readonly to: string;
  readonly up: boolean;
  /** It is on its way there. */
  readonly held: boolean;
}

/** Which part of what emeshers know of stored events is asked for. */
export interface Scope {
  /** Only what was seen to happen. */
  readonly stepsOnly?: boolean;
  /** Only where they stand for this subscription. */
  readonly subscription?: string | undefined;
}

/** What emeshers know of stored events. */
export interface Located {
  readonly steps: readonly EventStep[];
  readonly standings: readonly Standing[];
  readonly links: readonly OnLink[];
  /** Whether there was more than fits an answer. */
  readonly more: boolean;
}

/** One inspection of one event at all emeshers of the site; who falls silent is not asked again. */
export interface Inquiry {
  recall(id: string, source: string | undefined): Promise<Recalled>;
  /** @param places At most `PLACES_MAX`. */
  locate(places: readonly EventPlace[], scope: Scope): Promise<Located>;
  /** Those whose memory is not, or not wholly, in the answers so far. */
  readonly silent: readonly SilentEmesher[];
}

/** Most copies of an event that are told of; an id is of little use when there are more. */
export const PLACES_MAX = 16;
