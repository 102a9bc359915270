import type { RecordView } from '@eventmesh/event';
import type { RetryPolicy } from './subscription.ts';

/** Longest delay of a retry policy, in ms: a day. No event waits longer for its next try. */
export const RETRY_DELAY_MS_MAX = 86_400_000;

/** Longest delay that a consumer may ask for when it releases an event, in ms: half a day. */
export const RELEASE_DELAY_MS_MAX = 43_200_000;

/**
 * Share of a delay that is taken off at random at most, so that what failed together, as in an
 * outage, does not come back together. Delays that grow exponentially are a guess anyway; those
 * that were listed or counted out stay close to what was asked for. No delay gets longer.
 */
const JITTER = Object.freeze({ none: 0, exponential: 1 / 2, linear: 1 / 10, list: 1 / 10 });

/** Whether an event that has failed so often has used up its budget. */
export function exhausted(policy: RetryPolicy, failures: number): boolean {
  return failures >= (policy.kind === 'none' ? 1 : policy.attemptsMax);
}

/** How long to wait after a number of failures, in ms; undefined when the budget is used up. */
export function retryDelayMs(
  policy: RetryPolicy,
  failures: number,
  random: () => number,
): number | undefined {
  if (exhausted(policy, failures)) return undefined;
  const full = fullDelayMs(policy, failures);
  return Math.round(full * (1 - random() * JITTER[policy.kind]));
}

function fullDelayMs(policy: RetryPolicy, failures: number): number {
  const { kind, delayMs, delayMaxMs, delaysMs } = policy;
  if (kind === 'list') return delaysMs[failures - 1] ?? delaysMs.at(-1) ?? 0;
  if (kind === 'linear') return Math.min(delayMs * failures, delayMaxMs);
  return Math.min(delayMs * 2 ** Math.min(failures - 1, 40), delayMaxMs);
}

/**
 * Whether an event is too old to be tried again, by the clock of the site that accepted it. What
 * was redriven is old by nature, and somebody's decision: it has its budget of failures, no age.
 */
export function tooOld(policy: RetryPolicy, record: RecordView, nowMs: number): boolean {
  if (policy.ageMaxMs === 0 || record.handling.onlySubscription !== '') return false;
  return nowMs - record.ingressTimeUs / 1000 > policy.ageMaxMs;
}
