import type { RetryPolicy } from './subscription.ts';

/**
 * How long to wait after a number of failures, in ms, or undefined when the event is to be
 * dead-lettered. Exponential delays have up to half of them taken off at random, so that what
 * failed together does not come back together.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  failures: number,
  random: () => number,
): number | undefined {
  if (failures >= policy.attemptsMax || policy.kind === 'none') return undefined;
  if (policy.kind === 'list') return policy.delaysMs[failures - 1] ?? policy.delaysMs.at(-1) ?? 0;
  if (policy.kind === 'linear') return Math.min(policy.delayMs * failures, policy.delayMaxMs);
  const full = Math.min(policy.delayMs * 2 ** Math.min(failures - 1, 40), policy.delayMaxMs);
  return Math.round(full * (1 - random() / 2));
}
