import type { Subscription } from '@eventmesh/delivery';
import type { Letter } from './letter.ts';

/**
 * Whether the subscription that gave a letter up is no more.
 * @param current The one that has its name now.
 */
export function isGone(
  { subscription, subscriptionCreatedMs }: Letter,
  current: Subscription | undefined,
): boolean {
  if (subscription === '') return false;
  if (current === undefined) return true;
  // One that does not tell, for it was written before letters did, counts to the one that is there.
  return subscriptionCreatedMs !== 0 && subscriptionCreatedMs !== current.createdMs;
}
