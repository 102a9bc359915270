import { isDeepStrictEqual } from 'node:util';
import { SUBSCRIPTION_DEFAULTS, type SubscriptionSpec } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';

/** What needs a store, a cursor or a settle, and the direct class has none of them. */
const WITHOUT_EFFECT = [
  'start',
  'ordered',
  'deadLetter',
  'deadLetterExpired',
  'ackTimeoutMs',
  'inFlightMax',
] as const;

const RETRY_FIELDS = [
  'kind',
  'delayMs',
  'delayMaxMs',
  'attemptsMax',
  'delaysMs',
  'ageMaxMs',
] as const;

/**
 * A direct subscription does none of what these fields ask for, so asking for it is refused. What
 * one has already, from a time when it was not, stays as it is.
 *
 * @param there What is there already. Default: nothing, so the defaults.
 * @throws MeshError InvalidArgument (DIRECT_CLASS) that names the first of them and the way out.
 */
export function checkDirectSpec(
  spec: SubscriptionSpec,
  there: Omit<SubscriptionSpec, 'name' | 'topicFilters'> = SUBSCRIPTION_DEFAULTS,
): void {
  if (spec.deliveryClass !== 'direct') return;
  for (const field of WITHOUT_EFFECT) {
    refuseUnless([spec[field], there[field], SUBSCRIPTION_DEFAULTS[field]], field);
  }
  for (const field of RETRY_FIELDS) {
    const standard = SUBSCRIPTION_DEFAULTS.retry[field];
    refuseUnless([spec.retry[field], there.retry[field], standard], `retry.${field}`);
  }
}

/** The wanted value may be the one that is there, or the default. */
function refuseUnless([wanted, ...allowed]: readonly unknown[], field: string): void {
  if (allowed.some((value) => isDeepStrictEqual(wanted, value))) return;
  throw invalid(
    field,
    'has no effect on the direct class, which keeps nothing and delivers at most once; leave it ' +
      'out, or make the subscription durable',
    { reason: 'DIRECT_CLASS' },
  );
}
