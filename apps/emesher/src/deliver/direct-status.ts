import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { DirectCounts } from './direct-lanes.ts';

/** The status of a direct subscription at one emesher, of which it has no more than the counts. */
export const directStatus = (counts: DirectCounts, member: string): SubscriptionStatus => ({
  ...counts,
  deadLettered: 0,
  lag: 0,
  ownerMember: counts.consumers > 0 ? member : '',
  epoch: 0,
  redelivered: 0,
  stuckKeys: [],
  parked: 0,
  parkedKeys: 0,
  stopped: '',
  delayed: 0,
  nextDueMs: 0,
  paced: 0,
  retryWindow: 0,
});
