import type { Subscription } from './subscription.ts';

/** What one consumer's part of a broadcast has of its own, besides its name and start. */
export interface OwnOfPart {
  /** `createdMs` of the whole that it belongs to. One of that name that was made later has others. */
  readonly wholeCreatedMs: number;
  /** It was paused by its own name. */
  readonly paused: boolean;
  /** Compare-and-set token of the part alone. */
  readonly revision: number;
}

type Kept = 'tenant' | 'name' | 'site' | 'owner' | 'start' | 'ephemeral' | 'createdMs';

/** All that is kept of a part: nothing that its whole has, so that the two can never differ. */
export interface BroadcastPart extends Pick<Subscription, Kept | 'broadcastOf'> {
  readonly part: OwnOfPart;
}

/** Whether a part belongs to this very whole, not to an earlier one of the same name. */
export const isPartOf = (
  { tenant, broadcastOf, part }: BroadcastPart,
  whole: Pick<Subscription, 'tenant' | 'name' | 'createdMs'>,
): boolean =>
  tenant === whole.tenant && broadcastOf === whole.name && part.wholeCreatedMs === whole.createdMs;

/**
 * The subscription that a part is now. Revisions are those of one registry, so that the greater one
 * rises with each change of either.
 */
export const partAs = (kept: BroadcastPart, whole: Subscription): Subscription => ({
  ...whole,
  name: kept.name,
  mode: 'shared',
  start: kept.start,
  ephemeral: kept.ephemeral,
  paused: whole.paused || kept.part.paused,
  createdMs: kept.createdMs,
  revision: Math.max(kept.part.revision, whole.revision),
  broadcastOf: kept.broadcastOf,
  part: kept.part,
});
