import type { Subscription } from '@eventmesh/delivery';
import type { EventStep } from '../journal.ts';

/** What happens to an event for a subscription. */
const STEPS: ReadonlySet<string> = new Set([
  'delivered',
  'settled',
  'dead-lettered',
  'dropped',
  'expired',
  'forbidden',
]);

/**
 * Of the steps of an event those of a subscription as it is now: another one had its name before it
 * was made, and a link may have it, too.
 */
export const stepsFor = (
  { name, createdMs }: Pick<Subscription, 'name' | 'createdMs'>,
  steps: readonly EventStep[],
): EventStep[] =>
  steps.filter(
    ({ subject, step, timeUs }) =>
      subject === name && STEPS.has(step) && timeUs >= createdMs * 1000,
  );
