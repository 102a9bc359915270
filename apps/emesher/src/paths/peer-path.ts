import type { Router } from '@eventmesh/rpc';
import type { DeadChanges } from '../dead/changes.ts';
import type { Attachments } from '../deliver/attachments.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import { peerSession } from '../deliver/owner-session.ts';
import type { LocalBooks } from '../inspect/local-books.ts';
import type { LocalMemory } from '../inspect/local-memory.ts';
import type { Links } from '../link/links.ts';
import { addPeerService } from '../peer/peer-service.ts';
import type { SiteBooks } from '../peer/site-books.ts';
import type { SiteChanges } from '../peer/site-changes.ts';
import type { Replays } from '../replay/replays.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

interface PeerParts {
  readonly lanes: DirectLanes;
  readonly links: Pick<Links, 'sendDirect'>;
  readonly attachments: Pick<Attachments, 'attachHere'>;
  readonly changes: SiteChanges;
  readonly books: SiteBooks;
  readonly dead: { readonly changes: DeadChanges };
  readonly replays: Replays;
  readonly timers: Pick<Timers, 'cancel'>;
  readonly localMemory: LocalMemory;
  readonly localBooks: LocalBooks;
}

/** What this emesher does for the others of its site. */
export function peerPath(
  { options, deps, directory, lost }: Base,
  router: Router,
  parts: PeerParts,
): void {
  const { lanes, links, attachments, changes, books, dead, replays, timers } = parts;
  const { localMemory, localBooks } = parts;
  const { consumerBytesMax, consumerMessagesMax } = options.dataPlane.delivery;
  const served = {
    member: options.member,
    directory,
    sessionOf: peerSession(deps.authorizer),
    consumerLimits: { consumerBytesMax, consumerMessagesMax, metrics: deps.metrics },
    attachHere: attachments.attachHere,
    lanes,
    sendOverLinks: (record: Buffer, to: readonly string[]) => links.sendDirect(record, to),
    changes,
    books,
    dead,
    replays,
    timers,
    lost,
    localMemory,
    localBooks,
  };
  addPeerService(router, served, options.serviceToken);
}
