/** What the memory mesh refuses with: code, reason and field are those of the mesh in the same case. */
import { isDeepStrictEqual } from 'node:util';
import type { SubscriptionSpec } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';

export const unauthenticated = (authorization: string | undefined): MeshError =>
  authorization === undefined
    ? new MeshError('Unauthenticated', 'authorization: is missing', {
        field: 'authorization',
        reason: 'CREDENTIAL_MISSING',
      })
    : new MeshError('Unauthenticated', 'the credential is wrong, expired or unknown', {
        field: 'authorization',
      });

export const denied = (action: string, resource: string): MeshError =>
  new MeshError('PermissionDenied', `no grant to ${action} "${resource}"`, {
    reason: 'NO_GRANT',
    facts: { action, resource },
  });

/** @throws MeshError AlreadyExists when a subscription is another one than is wanted. */
export function checkSame(
  there: SubscriptionSpec,
  { paused: _, ...wanted }: SubscriptionSpec,
): void {
  if (isDeepStrictEqual({ ...there, ...wanted }, there)) return;
  throw new MeshError('AlreadyExists', `subscription "${there.name}" exists with another spec`, {
    field: 'name',
    reason: 'SUBSCRIPTION_DIFFERS',
  });
}

export const draining = (): MeshError =>
  new MeshError('Unavailable', 'this emesher is draining; reconnect to another one', {
    reason: 'DRAINING',
    retryAfterMs: 100,
  });

export const principalEnded = (): MeshError =>
  new MeshError('Unauthenticated', 'the principal is no longer known; authenticate again', {
    reason: 'PRINCIPAL_ENDED',
  });

export const exclusive = (name: string): MeshError =>
  new MeshError('FailedPrecondition', `"${name}" has its one consumer`, {
    field: 'subscription',
    reason: 'EXCLUSIVE',
  });

export const deleted = (name: string): MeshError =>
  new MeshError('NotFound', `subscription "${name}" was deleted`, { field: 'subscription' });

export const changedSince = (name: string): MeshError =>
  new MeshError(
    'Aborted',
    `revision: "${name}" was changed since; read it again and give that one`,
    {
      field: 'revision',
    },
  );

export const badPageToken = (): MeshError =>
  invalid('token', 'is not one that this list gave; begin again without it', {
    reason: 'PAGE_TOKEN',
  });
