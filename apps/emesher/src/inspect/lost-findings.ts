import type { LedgerFinding, LostRange } from '@eventmesh/adapter-api';

/** A log that was brought back from an older copy agrees with itself; its neighbours know better. */
export const lostFindings = (tenant: string, lost: readonly LostRange[]): LedgerFinding[] =>
  lost.map(({ site, partition, from, to, foundMs }) => ({
    tenant,
    subscription: '',
    check: 'restored',
    expected: to,
    counted: from - 1,
    verdict: 'difference',
    detail:
      `site "${site}" had taken events up to position ${to} of partition ${partition}; this log was brought ` +
      `back from an older copy, found ${new Date(foundMs).toISOString()}, and is known to be the same up to ` +
      `${from - 1}. What had positions ${from} to ${to}, but for what the copy had of it, is lost here, and ` +
      `still at "${site}" within its retention: read it there`,
  }));
