import {
  purgeToWire,
  redriveToWire,
  replayStatusToWire,
  selectionFromWire,
  statusToWire,
} from '@eventmesh/adapter-grpc';
import type { Secret } from '@eventmesh/config';
import { invalid } from '@eventmesh/errors';
import { decodeRecord } from '@eventmesh/event';
import { bearerGuard } from '@eventmesh/lifecycle';
import { PeerService, type ApplyRequest, type DirectRequest } from '@eventmesh/proto-gen/peer';
import type { Router, ServiceImpl } from '@eventmesh/rpc';
import { startFromProto, storedFromProto, subscriptionToProto } from '@eventmesh/wire';
import type { DeadChanges } from '../dead/changes.ts';
import { lostRangeFromWire, type LostRanges } from '../link/lost-ranges.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Replays } from '../replay/replays.ts';
import { CANCEL_MAX } from '../schedule/timer-admin.ts';
import type { Timers } from '../schedule/timers.ts';
import { serveAttach, type AttachServiceDeps } from './attach-service.ts';
import { inspectCalls, type InspectServiceDeps } from './inspect-service.ts';
import type { SiteBooks } from './site-books.ts';
import type { SiteChanges } from './site-changes.ts';

export interface PeerServiceDeps extends AttachServiceDeps, InspectServiceDeps {
  readonly lanes: DirectLanes;
  readonly changes: SiteChanges;
  readonly books: SiteBooks;
  readonly dead: { readonly changes: DeadChanges };
  readonly replays: Replays;
  readonly timers: Pick<Timers, 'cancel'>;
  readonly lost: Pick<LostRanges, 'told'>;
  /** Hands a record to the links of this emesher. */
  readonly sendOverLinks: (record: Buffer, destinations: readonly string[]) => unknown;
}

type Served = ServiceImpl<typeof PeerService>;
type DeadLetterCalls = Pick<Served, 'redriveDeadLetters' | 'purgeDeadLetters'>;
type ReplayCalls = Pick<Served, 'listReplays' | 'stopReplay'>;

const NAMES_MAX = 1000;
const RECORDS_MAX = 1024;

/** Serves the other emeshers of the site; without a token that shows who they are, nobody. */
export function addPeerService(
  router: Router,
  deps: PeerServiceDeps,
  token: Secret | undefined,
): void {
  if (token === undefined) return;
  const { directory, changes, books, member } = deps;
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
          member,
          statuses: [...here].map(([name, status]) => ({ name, status: statusToWire(status) })),
        };
      },
      async apply({ subscription: given, deleted }: ApplyRequest) {
        const subscription = storedFromProto(needed('subscription', given));
        if (deleted) {
          directory.unlearn(subscription);
          await changes.discardHere(subscription.tenant, subscription.name);
        } else await changes.learn(subscription);
        return {};
      },
      async seek({ subscription, start }) {
        const there = storedFromProto(needed('subscription', subscription));
        const moved = await changes.seekHere(there, startFromProto(needed('start', start)));
        return { subscription: subscriptionToProto(moved) };
      },
      async tellLost({ tenant, partition, range }) {
        deps.lost.told(tenant, lostRangeFromWire(partition, needed('range', range)));
        return {};
      },
      async cancelTimers({ tenant, positions }) {
        checkCount('positions', positions, CANCEL_MAX);
        const cancelled = await deps.timers.cancel(tenant, positions.map(Number));
        return { cancelled: BigInt(cancelled) };
      },
      ...deadLetterCalls(deps),
      ...replayCalls(deps),
      ...inspectCalls(deps),
    },
    bearerGuard(token),
  );
}

function deadLetterCalls({ sessionOf, dead }: PeerServiceDeps): DeadLetterCalls {
  return {
    async redriveDeadLetters({ principal, request }, { signal, deadlineMs }) {
      const caller = await sessionOf(needed('principal', principal));
      const { selection, rateMax, pageToken: token } = needed('request', request);
      const options = { rateMax, token, signal, deadlineMs };
      const chosen = selectionFromWire(selection);
      return { response: redriveToWire(await dead.changes.redrive(caller, chosen, options)) };
    },
    async purgeDeadLetters({ principal, request }, { signal, deadlineMs }) {
      const caller = await sessionOf(needed('principal', principal));
      const { selection, pageToken: token } = needed('request', request);
      const options = { token, signal, deadlineMs };
      const chosen = selectionFromWire(selection);
      return { response: purgeToWire(await dead.changes.purge(caller, chosen, options)) };
    },
  };
}

function replayCalls({ sessionOf, replays }: PeerServiceDeps): ReplayCalls {
  return {
    async listReplays({ principal, subscription }) {
      const caller = await sessionOf(needed('principal', principal));
      const lanes = await replays.list(caller, subscription === '' ? undefined : subscription);
      return { replays: lanes.map(replayStatusToWire) };
    },
    async stopReplay({ principal, id }) {
      await replays.stop(await sessionOf(needed('principal', principal)), id);
      return {};
    },
  };
}

function needed<T>(field: string, given: T | undefined): T {
  if (given === undefined) throw invalid(field, 'is missing');
  return given;
}

function takeDirect({ lanes, sendOverLinks }: PeerServiceDeps, { records }: DirectRequest): void {
  checkCount('records', records, RECORDS_MAX);
  for (const { record, destinations, here } of records) {
    if (here) lanes.deliver(decodeRecord(record));
    if (destinations.length > 0) sendOverLinks(Buffer.from(record), destinations);
  }
}

function checkCount(field: string, given: readonly unknown[], max: number): void {
  if (given.length > max) {
    throw invalid(field, `there are ${given.length}`, { limit: `at most ${max} ${field}` });
  }
}
