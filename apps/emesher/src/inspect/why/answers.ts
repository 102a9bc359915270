import type { WhyAnswer } from '@eventmesh/adapter-api';

/** An answer of which only some is known. */
export const answerOf = (
  known: Pick<WhyAnswer, 'site' | 'subject' | 'state' | 'reason'> & Partial<WhyAnswer>,
): WhyAnswer => ({
  source: '',
  topic: '',
  partition: 0,
  position: 0,
  attempts: 0,
  consumer: '',
  timeUs: 0,
  nextMs: 0,
  policyRevision: 0,
  policyRevisionNow: 0,
  grantsRevision: 0,
  grantsRevisionNow: 0,
  grantsRevisionJudged: 0,
  ...known,
});

/** What a site that has a copy of an event tells those that have none. */
export interface KnownCopy {
  readonly source: string;
  readonly topic: string;
  readonly originSite: string;
  /** Sites that it was addressed to when it was published. */
  readonly destinations: readonly string[];
  readonly ingressTimeUs: number;
}
