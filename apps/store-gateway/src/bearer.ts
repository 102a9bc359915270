import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import type { RegisterOptions } from '@eventmesh/rpc';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Requires `authorization: Bearer <service token>`; without a token nothing is asked for. */
export function bearerGuard(token: Secret | undefined): RegisterOptions {
  if (token === undefined) return {};
  // Digests have one length, so that the comparison tells nothing about the token's.
  const wanted = digest(`Bearer ${token.reveal()}`);
  return {
    guard: (ctx) => {
      const given = ctx.metadata.get('authorization') ?? '';
      if (timingSafeEqual(digest(given), wanted)) return;
      throw new MeshError(
        'Unauthenticated',
        'authorization: this service is for members of the site; send their service token',
        { field: 'authorization', reason: 'SERVICE_TOKEN' },
      );
    },
  };
}
