import { MeshError } from '@eventmesh/errors';
import { createDeadParts } from '../dead/index.ts';
import { Attachments } from '../deliver/attachments.ts';
import { Cursors } from '../deliver/cursors.ts';
import { DirectGroups } from '../deliver/direct-groups.ts';
import { ownerSession } from '../deliver/owner-session.ts';
import { Runners } from '../deliver/runners.ts';
import { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import { emesherQueues } from '../metrics.ts';
import type { RelayOptions } from '../peer/relay.ts';
import { SiteBooks } from '../peer/site-books.ts';
import { SiteChanges } from '../peer/site-changes.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import { makeReplays } from '../replay/make-replays.ts';
import { deliveryObserver } from '../inspect/observer.ts';
import type { Base } from './foundation.ts';

/** Follow → match → queue → authorise → deliver → settle → cursor commit. */
export function deliverPath(base: Base, lanes: DirectLanes) {
  const { options, deps, logs, directory, ledger, journal, followers } = base;
  const { site, dataPlane } = options;
  const { store, authorizer, policies, log, tracing } = deps;
  const { heldMax, heldBytesMax, parkedKeysMax, cursorBytesMax, retryWindow } = dataPlane.delivery;
  const { readAheadBytes, cursorInterval } = dataPlane.delivery;
  const now = Date.now;
  const cursors = new Cursors(store, log, cursorInterval);
  const dead = createDeadParts({
    ...base,
    site,
    store,
    policies,
    authorizer,
    now,
    logger: log,
    config: dataPlane.deadLetters,
  });
  const runners = new Runners({
    store,
    logs,
    directory,
    followers,
    cursors,
    ownerSession: ownerSession(authorizer),
    lost: base.lost,
    onGone: (runner) => ledger.tellLast(runner),
    runner: {
      now,
      random: Math.random,
      heldMax,
      heldBytesMax,
      parkedKeysMax,
      cursorBytesMax,
      retryWindow,
      readAheadBytes,
      store,
      logName: (tenant) => logs.name(tenant),
      logger: log,
      deadLetters: dead.letters,
      ...deliveryObserver({ site, journal, ledger, tracing }),
    },
  });
  base.lost.onFound((tenant, range) => runners.lost(tenant, range));
  const parts = { ...base, runners, store, logger: log };
  const groups = new DirectGroups(directory, lanes);
  const changes = new SiteChanges({ ...parts, groups });
  const books = new SiteBooks({ ...parts, lanes, member: options.member });
  const { broadcastConsumersMax, relayRequestsMax } = dataPlane.delivery;
  const admin = new SubscriptionAdmin({
    ...parts,
    site,
    changes,
    books,
    now,
    policies,
    broadcastConsumersMax,
  });
  const relays: RelayOptions = {
    requestsMax: relayRequestsMax,
    measure: (waiting) => deps.metrics.measure(emesherQueues.relayRequests, waiting),
  };
  const attachments = new Attachments({ ...parts, groups, admin, relays });
  const replays = makeReplays({
    store,
    logs,
    admin,
    ledger,
    journal,
    logger: log,
    config: dataPlane.replay,
    delivery: dataPlane.delivery,
  });
  directory.listen({
    deleted(tenant, name) {
      replays.endOf(tenant, name, new MeshError('NotFound', `subscription "${name}" was deleted`));
    },
  });
  return { runners, cursors, changes, books, admin, attachments, replays, dead };
}
