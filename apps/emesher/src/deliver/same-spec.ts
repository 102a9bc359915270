import { isDeepStrictEqual } from 'node:util';
import type { SubscriptionSpec } from '@eventmesh/delivery';

const KEYS: readonly (keyof SubscriptionSpec)[] = [
  'topicFilters',
  'filters',
  'deliveryClass',
  'mode',
  'retry',
  'deadLetter',
  'deadLetterExpired',
  'ackTimeoutMs',
  'ephemeral',
  'inFlightMax',
  'ordered',
];

/**
 * What of an existing subscription is not as a caller asks for. `paused` is a state and no part of it,
 * and `start` is over: it has begun, and may have been moved since.
 */
export const specDifferences = (
  there: SubscriptionSpec,
  wanted: SubscriptionSpec,
): readonly (keyof SubscriptionSpec)[] =>
  KEYS.filter((key) => !isDeepStrictEqual(there[key], wanted[key]));

/** Whether an existing subscription is what a caller asks for. */
export const sameSpec = (there: SubscriptionSpec, wanted: SubscriptionSpec): boolean =>
  specDifferences(there, wanted).length === 0;
