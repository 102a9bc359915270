import type { Router } from '@eventmesh/rpc';
import { peerSession } from '../deliver/owner-session.ts';
import { addPeerService } from '../peer/peer-service.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';
import type { deliverPath } from './deliver-path.ts';
import type { linkPath } from './link-path.ts';

/** What this emesher does for the others of its site. */
export function addPeers(
  { options, deps, directory, lost }: Base,
  parts: ReturnType<typeof deliverPath> &
    Pick<ReturnType<typeof linkPath>, 'links' | 'localMemory' | 'localBooks'> & {
      readonly lanes: DirectLanes;
      readonly timers: () => Pick<Timers, 'cancel'>;
    },
  router: Router,
): void {
  const served = {
    ...parts,
    directory,
    lost,
    member: options.member,
    sessionOf: peerSession(deps.authorizer),
    consumerLimits: { ...options.dataPlane.delivery, metrics: deps.metrics },
    attachHere: parts.attachments.attachHere,
    sendOverLinks: (record: Buffer, to: readonly string[]) => parts.links.sendDirect(record, to),
  };
  addPeerService(router, served, options.serviceToken);
}
