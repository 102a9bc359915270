import { statusToWire } from '@eventmesh/adapter-grpc';
import type { Secret } from '@eventmesh/config';
import { invalid } from '@eventmesh/errors';
import { decodeRecord } from '@eventmesh/event';
import { bearerGuard } from '@eventmesh/lifecycle';
import { PeerService, type ApplyRequest, type DirectRequest } from '@eventmesh/proto-gen/peer';
import type { Router } from '@eventmesh/rpc';
import { startFromProto, storedFromProto, subscriptionToProto } from '@eventmesh/wire';
import type { DirectSwitch } from '../publish/direct.ts';
import { serveAttach, type AttachServiceDeps } from './attach-service.ts';
import type { SiteBooks } from './site-books.ts';
import type { SiteChanges } from './site-changes.ts';

export interface PeerServiceDeps extends AttachServiceDeps {
  readonly direct: DirectSwitch;
  readonly changes: SiteChanges;
  readonly books: SiteBooks;
  /** Hands a record to the links of this emesher. */
  readonly sendOverLinks: (record: Buffer, destinations: readonly string[]) => unknown;
}

const NAMES_MAX = 1000;
const RECORDS_MAX = 1024;

/** Serves the other emeshers of the site; without a token that shows who they are, nobody. */
export function addPeerService(
  router: Router,
  deps: PeerServiceDeps,
  token: Secret | undefined,
): void {
  if (token === undefined) return;
  const { directory, changes, books } = deps;
  router.service(
    PeerService,
    {
      attach: (requests, ctx) => serveAttach(deps, requests, ctx),
      async direct(requests) {
        for await (const request of requests) takeDirect(deps, request);
        return {};
      },
      async status({ tenant, names }) {
        checkCount('names', names, NAMES_MAX);
        const here = await books.here(tenant, names);
        return {
          statuses: [...here].map(([name, status]) => ({ name, status: statusToWire(status) })),
        };
      },
      async apply({ subscription: given, deleted }: ApplyRequest) {
        if (given === undefined) throw invalid('subscription', 'is missing');
        const subscription = storedFromProto(given);
        if (deleted) {
          directory.unlearn(subscription);
          await changes.discardHere(subscription.tenant, subscription.name);
        } else await changes.learn(subscription);
        return {};
      },
      async seek({ subscription, start }) {
        if (subscription === undefined) throw invalid('subscription', 'is missing');
        if (start === undefined) throw invalid('start', 'is missing');
        const moved = await changes.seekHere(storedFromProto(subscription), startFromProto(start));
        return { subscription: subscriptionToProto(moved) };
      },
    },
    bearerGuard(token),
  );
}

function takeDirect({ direct, sendOverLinks }: PeerServiceDeps, { records }: DirectRequest): void {
  checkCount('records', records, RECORDS_MAX);
  for (const { record, destinations, here } of records) {
    if (here) direct.deliver(decodeRecord(record));
    if (destinations.length > 0) sendOverLinks(Buffer.from(record), destinations);
  }
}

function checkCount(field: string, given: readonly unknown[], max: number): void {
  if (given.length > max) {
    throw invalid(field, `there are ${given.length}`, { limit: `at most ${max} ${field}` });
  }
}
