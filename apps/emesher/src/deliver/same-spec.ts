import { isDeepStrictEqual } from 'node:util';
import type { SubscriptionSpec } from '@eventmesh/delivery';

/** Whether an existing subscription is what a caller asks for; `paused` is a state, not a spec. */
export function sameSpec(there: SubscriptionSpec, wanted: SubscriptionSpec): boolean {
  const keys: readonly (keyof SubscriptionSpec)[] = [
    'topicFilters',
    'filters',
    'deliveryClass',
    'mode',
    'start',
    'retry',
    'deadLetter',
    'deadLetterExpired',
    'ackTimeoutMs',
    'ephemeral',
    'inFlightMax',
    'ordered',
  ];
  return keys.every((key) => isDeepStrictEqual(there[key], wanted[key]));
}
