import type { DeadLetters } from '../dead/index.ts';
import { Cursors } from '../deliver/cursors.ts';
import { ownerSession } from '../deliver/owner-session.ts';
import { Runners } from '../deliver/runners.ts';
import { deliveryObserver } from '../inspect/observer.ts';
import type { Base } from './foundation.ts';

/** Follow → match → queue → authorise → deliver → settle → cursor commit. */
export function deliverPath(
  { options, deps, logs, directory, ledger, metrics, journal, followers, lost }: Base,
  { letters }: { readonly letters: DeadLetters },
) {
  const { site, dataPlane } = options;
  const { store, authorizer, log: logger, tracing } = deps;
  const { heldMax, heldBytesMax, parkedKeysMax, cursorBytesMax, retryWindow } = dataPlane.delivery;
  const { readAheadBytes, cursorInterval } = dataPlane.delivery;
  const { onDelivered, onSettled, onEnded } = deliveryObserver({ site, journal, metrics, tracing });
  const cursors = new Cursors(store, logger, cursorInterval);
  const runners = new Runners({
    store,
    logs,
    directory,
    followers,
    cursors,
    ownerSession: ownerSession(authorizer),
    lost,
    onGone: (runner) => ledger.tellLast(runner),
    runner: {
      now: Date.now,
      random: Math.random,
      heldMax,
      heldBytesMax,
      parkedKeysMax,
      cursorBytesMax,
      retryWindow,
      readAheadBytes,
      store,
      logName: (tenant) => logs.name(tenant),
      logger,
      deadLetters: letters,
      onDelivered,
      onSettled,
      onEnded,
    },
  });
  lost.onFound((tenant, range) => runners.lost(tenant, range));
  return { runners, cursors };
}
