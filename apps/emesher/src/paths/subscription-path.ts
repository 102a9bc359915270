import { Attachments } from '../deliver/attachments.ts';
import { DirectGroups } from '../deliver/direct-groups.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Runners } from '../deliver/runners.ts';
import { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import { emesherQueues } from '../metrics.ts';
import { relayTo } from '../peer/relay.ts';
import { SiteBooks } from '../peer/site-books.ts';
import { SiteChanges } from '../peer/site-changes.ts';
import { sitePause } from '../peer/site-pause.ts';
import type { Base } from './foundation.ts';

/** Subscriptions as resources, and the consumers that come to them, wherever in the site they run. */
export function subscriptionPath(
  { options, deps, logs, directory, peers, owners }: Base,
  { runners, lanes }: { readonly runners: Runners; readonly lanes: DirectLanes },
) {
  const { site, member, dataPlane } = options;
  const { store, policies, log: logger } = deps;
  const { broadcastConsumersMax, relayRequestsMax } = dataPlane.delivery;
  const groups = new DirectGroups(directory, lanes);
  const changes = new SiteChanges({
    directory,
    runners,
    groups,
    peers,
    owners,
    logs,
    store,
    logger,
  });
  const books = new SiteBooks({ member, directory, runners, lanes, peers, logs, store, logger });
  const admin = new SubscriptionAdmin({
    site,
    directory,
    runners,
    logs,
    store,
    changes,
    books,
    policies,
    broadcastConsumersMax,
    now: Date.now,
  });
  const attachments = new Attachments({
    directory,
    runners,
    groups,
    admin,
    attachThere: relayTo(peers, {
      requestsMax: relayRequestsMax,
      measure: (waiting) => deps.metrics.measure(emesherQueues.relayRequests, waiting),
    }),
    pause: sitePause(directory),
    logger,
    leaseMs: dataPlane.lease.ttl,
  });
  return { changes, books, admin, attachments };
}
