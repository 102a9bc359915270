import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import type { RegisterOptions } from '@eventmesh/rpc';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Requires `authorization: Bearer <token>` of every call; without a token nothing is asked for.
 * Compared in constant time.
 */
export function bearerGuard(token: Secret | undefined): RegisterOptions {
  if (token === undefined) return {};
  // Digests have one length, so that the comparison tells nothing about the token's.
  const wanted = digest(`Bearer ${token.reveal()}`);
  return {
    guard: (ctx) => {
      const given = ctx.metadata.get('authorization');
      if (given !== undefined && timingSafeEqual(digest(given), wanted)) return;
      throw new MeshError(
        'Unauthenticated',
        given === undefined
          ? 'metadata "authorization" is missing; send "Bearer <token>"'
          : 'the token is not the right one',
        { field: 'authorization', reason: 'TOKEN' },
      );
    },
  };
}
