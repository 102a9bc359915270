import { LinkClient } from '../link/link-client.ts';
import { Links } from '../link/links.ts';
import { RouteHistory } from '../link/route-history.ts';
import { DirectFanOut } from '../peer/direct-fan-out.ts';
import { tellLost } from '../peer/tell-lost.ts';
import type { Base } from './foundation.ts';

/** Follow → link queue → next hop's emesher; and direct events on their way out of this one. */
export function linkPath({
  options,
  deps,
  logs,
  directory,
  peers,
  metrics,
  journal,
  followers,
  lost,
}: Base) {
  const { site, member, dataPlane, linkToken } = options;
  const { store, log: logger } = deps;
  const { directQueueMax, progressInterval } = dataPlane.link;
  const clients = new Map(
    options.links.map((neighbour) => [neighbour.site, new LinkClient(neighbour, linkToken)]),
  );
  const links = new Links(
    clients,
    {
      site,
      member,
      store,
      logs,
      followers,
      metrics,
      journal,
      logger,
      routes: new RouteHistory(directory.nextHop),
      lost: tellLost({ lost, peers, logger }),
      directQueueMax,
      progressInterval,
      now: Date.now,
    },
    directory,
  );
  const fanOut = new DirectFanOut({
    directory,
    peers,
    metrics,
    logger,
    queueMax: dataPlane.delivery.directFanOutMax,
    now: Date.now,
    sendOverLinks: (record, to) => links.sendDirect(record, to),
  });
  return { links, fanOut };
}
