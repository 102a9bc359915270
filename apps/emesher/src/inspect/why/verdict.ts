import type { WhyAnswer } from '@eventmesh/adapter-api';

/** What became of an event for a subscription, and why. */
export type Verdict = Pick<
  WhyAnswer,
  'state' | 'reason' | 'attempts' | 'consumer' | 'timeUs' | 'nextMs'
>;

export const verdict = (
  state: WhyAnswer['state'],
  reason: string,
  more: Partial<Verdict> = {},
): Verdict => ({ attempts: 0, consumer: '', timeUs: 0, nextMs: 0, ...more, state, reason });
