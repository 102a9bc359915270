import { principalKind, type Authorizer, type CompiledGrants } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import type { Principal } from '@eventmesh/proto-gen/acl';
import { CallerSession } from '../session.ts';

/**
 * The rights that deliveries of a subscription are checked against: its owner's, asked for anew
 * when somebody else consumes it. An owner that is no longer known receives nothing.
 */
export function ownerSession(authorizer: Pick<Authorizer, 'sessionFor'>) {
  return async (subscription: Subscription): Promise<CallerSession> =>
    new CallerSession(await authorizer.sessionFor(ownerOf(subscription)));
}

/** What the owner might do at a revision of the past; see `Authorizer.grantsAt`. */
export const ownerGrantsAt =
  (authorizer: Authorizer) =>
  (subscription: Subscription, revision: number): Promise<CompiledGrants | undefined> =>
    authorizer.grantsAt(ownerOf(subscription), revision);

function ownerOf({ tenant, owner }: Subscription) {
  const at = owner.indexOf(':');
  return { tenant, kind: principalKind(owner.slice(0, at)), name: owner.slice(at + 1) };
}

/** The session of a caller that another emesher of this site has authenticated. */
export const peerSession =
  (authorizer: Authorizer) =>
  async ({ tenant, kind, name, roles }: Principal): Promise<CallerSession> =>
    new CallerSession(await authorizer.sessionFor({ tenant, kind, name, roles }));
