import { timingSafeEqual } from 'node:crypto';
import { MeshError } from '@eventmesh/errors';
import { LinkService } from '@eventmesh/proto-gen/link';
import type { CallContext, Router } from '@eventmesh/rpc';
import type { Tracer } from '../inspect/tracer.ts';
import { receiveLink, type ReceiverDeps } from './receiver.ts';

/** Serves the incoming half of links, and traces for neighbours, to whoever has the link token. */
export function addLinkService(
  router: Router,
  deps: ReceiverDeps,
  tracer: Tracer,
  token: string | undefined,
): void {
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
    { guard: (ctx) => checkToken(ctx, token) },
  );
}

function checkToken(ctx: CallContext, token: string | undefined): void {
  const given = Buffer.from(ctx.metadata.get('authorization') ?? '');
  const wanted = Buffer.from(`Bearer ${token ?? ''}`);
  // Without a token of its own a site has no links, and takes none.
  if (token === undefined || given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new MeshError('Unauthenticated', 'the link token is missing or wrong', {
      field: 'authorization',
    });
  }
}
