import type { Secret } from '@eventmesh/config';
import { bearerGuard } from '@eventmesh/lifecycle';
import { LinkService } from '@eventmesh/proto-gen/link';
import type { Router } from '@eventmesh/rpc';
import type { Tracer } from '../inspect/tracer.ts';
import { receiveLink, type ReceiverDeps } from './receiver.ts';

/** Serves the incoming half of links, and traces for neighbours, to whoever has the link token. */
export function addLinkService(
  router: Router,
  deps: ReceiverDeps,
  tracer: Tracer,
  token: Secret | undefined,
): void {
  // Without a token of its own a site has no links, and takes none.
  if (token === undefined) return;
  router.service(
    LinkService,
    {
      link: (requests, ctx) => receiveLink(deps, requests, ctx),
      async trace({ tenant, eventId, source, visited }) {
        const { steps, unreachableSites } = await tracer.trace(
          tenant,
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
        };
      },
    },
    bearerGuard(token),
  );
}
