import type { WhyAnswer } from '@eventmesh/adapter-api';
import type { Stopped, StuckKey } from '@eventmesh/delivery';
import { topicMatches } from '@eventmesh/event';
import type { EventStep } from '../journal.ts';
import type { Facts, HeldEvent } from './facts.ts';
import { nearestFilter } from './nearest-filter.ts';

/** What became of an event for a subscription, and why. */
export type Verdict = Pick<
  WhyAnswer,
  'state' | 'reason' | 'attempts' | 'consumer' | 'timeUs' | 'nextMs'
>;

const verdict = (
  state: WhyAnswer['state'],
  reason: string,
  more: Partial<Verdict> = {},
): Verdict => ({ attempts: 0, consumer: '', timeUs: 0, nextMs: 0, ...more, state, reason });

/**
 * The answer from the facts, the surest first: what was seen to happen, where the event stands now,
 * what rules it out by the subscription as it is now.
 */
export function explain(facts: Facts): Verdict {
  return (
    ended(facts) ??
    (facts.place.kind === 'held' ? held(facts, facts.place) : undefined) ??
    ruledOut(facts) ??
    (facts.place.kind === 'parked' ? parked(facts.place.stuck) : undefined) ??
    unseen(facts)
  );
}

/** The end that is remembered. */
function ended({ steps }: Facts): Verdict | undefined {
  const last = steps.findLast(({ step }) => step !== 'delivered');
  if (last === undefined) return undefined;
  const deliveries = steps.filter(({ step }) => step === 'delivered');
  const more = {
    attempts: deliveries.length,
    consumer: consumerOf(deliveries.at(-1)),
    timeUs: last.timeUs,
  };
  if (last.step === 'settled' && last.detail === 'accept') {
    return verdict('delivered', `accepted by ${more.consumer || 'a consumer'}`, more);
  }
  if (last.step === 'dead-lettered') {
    const cause = last.detail === '' ? 'given up' : last.detail;
    return verdict('dead-lettered', `${cause}; it was put among the dead letters`, more);
  }
  if (last.step === 'dropped' || last.step === 'expired') {
    return verdict(last.step, last.detail === '' ? last.step : last.detail, more);
  }
  return undefined;
}

/** `to NAME`, as deliveries are noted. */
const consumerOf = (step: EventStep | undefined): string => step?.detail.replace(/^to /, '') ?? '';

/** Matched and not settled. */
function held({ subscription, receives, steps, nowMs }: Facts, place: HeldEvent): Verdict {
  const { attempts, failures, consumer, dueMs, ahead } = place;
  const since = steps.findLast(({ step }) => step === 'delivered')?.timeUs ?? 0;
  const more = { attempts, consumer, timeUs: since, nextMs: dueMs };
  const why = place.reason === '' ? '' : `: ${place.reason}`;
  if (place.state === 'dead') {
    return verdict('burying', `given up${why}; its dead letter is not durable yet`, more);
  }
  if (place.state === 'out') {
    return verdict('out', `out with ${consumer}, which has not settled it`, more);
  }
  if (place.state === 'later') {
    const tries = `${failures} of ${subscription.retry.attemptsMax} failures`;
    const wait = `tried again in ${Math.max(0, dueMs - nowMs)} ms`;
    return verdict('backoff', `${tries}${why}; ${wait}`, more);
  }
  if (ahead > 0) {
    return verdict('key', `${ahead} earlier events of its key are not settled`, more);
  }
  if (subscription.paused) return verdict('paused', 'the subscription is paused', more);
  if (receives === undefined) {
    return verdict('ready', 'held: acl cannot tell whether its owner may receive it', more);
  }
  const room =
    failures === 0 ? '' : ', or for room in the window of retries (delivery.retryWindow)';
  return verdict('ready', `waits for a consumer with credit${room}`, more);
}

/** Behind others of its key, and not in memory. */
function parked({ key, consumer, waiting, parked: events, failures, heldMs }: StuckKey): Verdict {
  const who = consumer === '' ? 'with nobody now' : `out with ${consumer}`;
  const first = `its first event is ${who}, ${failures} failures, for ${heldMs} ms`;
  return verdict(
    'key',
    `key "${key}" is stuck: ${first}; ${waiting} wait behind, ${events} of them in the store`,
    { consumer },
  );
}

/** Why nothing more is read, and what can be done. */
const STOPPED: Readonly<Record<Stopped, string>> = Object.freeze({
  memory: 'all it has in memory is out, retried or being buried: see delivery.heldMax',
  keys: 'too many keys wait behind stuck events: see delivery.parkedKeysMax',
  cursor: 'too much is settled out of order: see delivery.cursorBytesMax',
});

/** What says no by the subscription as it is now, and by the grants. */
function ruledOut(facts: Facts): Verdict | undefined {
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
function forbidden({ subscription, record, place, receives, past }: Facts): Verdict | undefined {
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

/** Nothing rules it out, and nothing is remembered of it. */
function unseen({ subscription, record, place, nowMs, steps, receives, past }: Facts): Verdict {
  const { expiryMs } = record;
  const over = expiryMs !== 0 && expiryMs <= nowMs;
  const more = { timeUs: expiryMs * 1000 };
  if (place.kind === 'unread') {
    if (subscription.paused) return verdict('paused', `paused, and ${place.lag} records behind`);
    const who =
      place.consumers === 0 ? 'nobody consumes it now' : `it is ${place.lag} records behind`;
    const halt = place.stopped === undefined ? '' : `; reading stopped: ${STOPPED[place.stopped]}`;
    const then = over ? '; its life has ended meanwhile' : '';
    return verdict(
      over ? 'expired' : 'not-read',
      `not read yet: ${who}${halt}${then}`,
      over ? more : {},
    );
  }
  if (over) return verdict('expired', 'its life ended before it could be delivered', more);
  const attempts = steps.filter(({ step }) => step === 'delivered').length;
  if (past?.received === true && receives === false) {
    const then = `had the grant when it was admitted (grants revision ${past.revision})`;
    const reason = `settled, or passed over since; how is no longer remembered: its owner ${then}, and has none now`;
    return verdict('settled', reason, { attempts });
  }
  return verdict('settled', 'settled; how is no longer remembered, it would match now', {
    attempts,
  });
}
