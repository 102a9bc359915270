import type { Secret } from '@eventmesh/config';
import { bearerGuard } from '@eventmesh/lifecycle';
import { LinkService } from '@eventmesh/proto-gen/link';
import type { Router } from '@eventmesh/rpc';
import type { Inspection } from '../inspect/inspection.ts';
import { answerToWire, questionOf } from '../inspect/why/wire.ts';
import { LinkOwners } from './link-owners.ts';
import { receiveLink, type ReceiverDeps } from './receiver.ts';
import { SeenBook } from './seen.ts';

/** Serves the incoming half of links, traces and explains for neighbours, to whoever has the link token. */
export function addLinkService(
  router: Router,
  deps: ReceiverDeps,
  { tracer, why }: Pick<Inspection, 'tracer' | 'why'>,
  token: Secret | undefined,
): void {
  // Without a token of its own a site has no links, and takes none.
  if (token === undefined) return;
  const receiver = { ...deps, seen: new SeenBook(), owners: new LinkOwners() };
  router.service(
    LinkService,
    {
      link: (requests, ctx) => receiveLink(receiver, requests, ctx),
      async trace({ tenant, eventId, source, visited }) {
        const { steps, unreachableSites, silentEmeshers } = await tracer.trace(
          { tenant, caller: undefined, resource: 'trace' },
          eventId,
          source === '' ? undefined : source,
          visited,
        );
        return {
          steps: steps.map((step) => ({
            ...step,
            timeUs: BigInt(step.timeUs),
            position: BigInt(step.position),
          })),
          unreachableSites: [...unreachableSites],
          silentEmeshers: [...silentEmeshers],
        };
      },
      async why(request) {
        const { tenant, query, visited, known } = questionOf(request);
        const inspector = { tenant, caller: undefined, resource: 'why' } as const;
        return answerToWire(await why.around(inspector, query, visited, known));
      },
    },
    { ...bearerGuard(token), bulk: ['Link'] },
  );
}
