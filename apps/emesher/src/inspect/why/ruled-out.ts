import { topicMatches } from '@eventmesh/event';
import type { Facts } from './facts.ts';
import { nearestFilter } from './nearest-filter.ts';
import { verdict, type Verdict } from './verdict.ts';

/** What says no by the subscription as it is now, and by the grants. */
export function ruledOut(facts: Facts): Verdict | undefined {
  const { subscription, record, place, filterProblem } = facts;
  const { topicFilters, name } = subscription;
  if (subscription.deliveryClass === 'direct') {
    return verdict('filtered', 'it takes direct events, and this one is durable');
  }
  if (record.transit) {
    return verdict(
      'filtered',
      `only on its way through this site to ${record.destinations.join(', ')}`,
    );
  }
  const { onlySubscription } = record.handling;
  if (onlySubscription !== '' && onlySubscription !== name) {
    return verdict('filtered', `a dead letter redriven to "${onlySubscription}" alone`);
  }
  if (!topicFilters.some((filter) => topicMatches(filter, record.topic))) {
    const { filter, parts } = nearestFilter(topicFilters, record.topic);
    const reason = `no topic filter matches "${record.topic}"; the nearest, "${filter}": ${parts}`;
    return verdict('filtered', reason);
  }
  if (filterProblem !== undefined) return verdict('filtered', filterProblem);
  if (place.kind === 'before-start') {
    const reason = `stored before the subscription begins, which is at ${place.start}`;
    return verdict('before-start', reason);
  }
  return forbidden(facts);
}

/**
 * What was passed was judged by the grants of its time, so by those it was admitted by, where they
 * are kept; what is still to come will be judged by those of now.
 */
export function forbidden({
  subscription,
  record,
  place,
  receives,
  past,
}: Facts): Verdict | undefined {
  const who = `${subscription.owner}, its owner,`;
  const what = `grant to subscribe to "${record.topic}"`;
  if (place.kind === 'settled' && past !== undefined) {
    if (past.received) return undefined;
    const now = receives === true ? ', and has one now' : '';
    const when = `when it was admitted (grants revision ${past.revision})`;
    return verdict('forbidden', `${who} had no ${what} ${when}${now}`);
  }
  if (receives !== false) return undefined;
  const before =
    past?.received === true
      ? ` any more, and had one when it was admitted (grants revision ${past.revision})`
      : '';
  return verdict('forbidden', `${who} has no ${what}${before}`);
}
