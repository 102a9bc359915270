import type { Router } from '@eventmesh/rpc';
import { LinkClient } from '../link/link-client.ts';
import { addLinkService } from '../link/link-service.ts';
import { Links } from '../link/links.ts';
import type { ReceiverDeps } from '../link/receiver.ts';
import { RouteHistory } from '../link/route-history.ts';
import { emesherQueues } from '../metrics.ts';
import { DirectFanOut } from '../peer/direct-fan-out.ts';
import { tellLost } from '../peer/tell-lost.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Base } from './foundation.ts';
import type { deliverPath } from './deliver-path.ts';
import { inspectPath } from './inspect-path.ts';

/** Follow → link queue → next hop's emesher → its store → accept. */
export function linkPath(
  base: Base,
  lanes: DirectLanes,
  router: Router,
  { runners, books }: Pick<ReturnType<typeof deliverPath>, 'runners' | 'books'>,
) {
  const { options, deps, logs, directory, peers, ledger, journal, followers } = base;
  const { site, member, dataPlane, linkToken } = options;
  const { store, log: logger, tracing, policies, authorizer } = deps;
  const clients = new Map(
    options.links.map((neighbour) => [neighbour.site, new LinkClient(neighbour, linkToken)]),
  );
  const routes = new RouteHistory(directory.nextHop);
  const links = new Links(
    clients,
    {
      site,
      member,
      store,
      logs,
      followers,
      ledger,
      journal,
      logger,
      routes,
      lost: tellLost({ lost: base.lost, peers, logger }),
      directQueueMax: dataPlane.link.directQueueMax,
      progressInterval: dataPlane.link.progressInterval,
      now: Date.now,
    },
    directory,
  );
  const fanOut = new DirectFanOut({
    directory,
    peers,
    ledger,
    logger,
    queueMax: dataPlane.delivery.directFanOutMax,
    now: Date.now,
    sendOverLinks: (record, to) => links.sendDirect(record, to),
  });
  const looking = inspectPath(base, { runners, books, links });
  const receiver: ReceiverDeps = {
    site,
    member,
    store,
    logs,
    lanes,
    ledger,
    journal,
    tracing,
    logger,
    ...dataPlane.link,
    revisions: () => ({
      policyRevision: Math.max(0, policies.revision),
      grantsRevision: Math.max(0, authorizer.revision),
    }),
    neighbours: new Set(clients.keys()),
    forwardDirect: fanOut.forward.bind(fanOut),
    measure(window, answers) {
      const stops = [
        deps.metrics.measure(emesherQueues.linkUnstoredBytes, () => window.bytes),
        deps.metrics.measure(emesherQueues.linkAnswers, answers),
      ];
      return () => stops.forEach((stop) => stop());
    },
  };
  addLinkService(router, receiver, looking.inspection, linkToken);
  return { links, fanOut, ...looking };
}
