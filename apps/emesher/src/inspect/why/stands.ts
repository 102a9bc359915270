import type { Stopped, StuckKey } from '@eventmesh/delivery';
import { hasExpired } from '@eventmesh/event';
import type { Facts, HeldEvent, Place } from './facts.ts';
import { ruledOut } from './ruled-out.ts';
import { verdict, type Verdict } from './verdict.ts';

/** Where an event stands that is still to be settled. */
export function stands(facts: Facts): Verdict | undefined {
  const { place } = facts;
  switch (place.kind) {
    case 'held':
      return outlived(facts, held(facts, place));
    case 'parked':
      return ruledOut(facts) ?? outlived(facts, parked(place.stuck));
    case 'unread':
      return ruledOut(facts) ?? outlived(facts, unread(facts, place));
    case 'no-part':
      return (
        ruledOut(facts) ?? verdict('not-read', 'no consumer has a part of the broadcast to get it')
      );
    default:
      return undefined;
  }
}

/** What waits when its life has ended will not go out any more. */
function outlived({ record: { expiryMs }, nowMs }: Facts, waits: Verdict): Verdict {
  if (!hasExpired(expiryMs, nowMs) || waits.state === 'out' || waits.state === 'burying') {
    return waits;
  }
  const reason = `${waits.reason}; its life has ended meanwhile`;
  return { ...waits, state: 'expired', reason, timeUs: expiryMs * 1000 };
}

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

/** Above what was looked at. */
function unread(
  { subscription }: Facts,
  { lag, consumers, stopped }: Extract<Place, { kind: 'unread' }>,
): Verdict {
  if (subscription.paused) return verdict('paused', `paused, and ${lag} records behind`);
  const who = consumers === 0 ? 'nobody consumes it now' : `it is ${lag} records behind`;
  const halt = stopped === undefined ? '' : `; reading stopped: ${STOPPED[stopped]}`;
  return verdict('not-read', `not read yet: ${who}${halt}`);
}
