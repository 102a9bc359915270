import type { Principal, Session } from '@eventmesh/adapter-api';
import {
  principalKind,
  principalWord,
  subjectWord,
  type QuotaHandle,
  type Session as Grants,
} from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { ResolvedTopic } from './publish/resolve.ts';

/** An authenticated caller with its grants, and what has been worked out for it per topic. */
export class CallerSession implements Session {
  readonly principal: Principal;
  readonly grants: Grants;
  /** The quotas that apply to it; looked up when the first is taken. */
  quota: QuotaHandle | undefined;
  /** Topics this caller has published to, resolved; see `publish/resolve.ts`. */
  readonly topics = new Map<string, ResolvedTopic>();

  constructor(grants: Grants) {
    const { tenant, kind, name, roles } = grants.principal;
    this.principal = { tenant, kind: principalWord(kind), name, roles };
    this.grants = grants;
  }

  get expiresMs(): number {
    return this.grants.expiresMs;
  }

  /** Whether an event of this topic may be delivered; undefined while acl cannot tell. */
  mayReceive(topic: string): boolean | undefined {
    try {
      return this.grants.canReceive(topic);
    } catch (error) {
      if (MeshError.from(error).code === 'Unavailable') return undefined;
      return false;
    }
  }
}

/** The session behind an adapter's handle. */
export function callerOf(session: Session): CallerSession {
  if (session instanceof CallerSession) return session;
  throw new MeshError('Internal', 'a session that this emesher has not made');
}

/** The caller as another emesher of the site is told of it. */
export function wirePrincipal({ grants }: CallerSession) {
  const { tenant, kind, name, roles } = grants.principal;
  return { tenant, kind, name, roles };
}

/**
 * A principal as the audit has it, and acl and governance write it: `TENANT/KIND:NAME`, where the
 * kind is the one of policies, so that a user and an API key of one name are two.
 */
export const auditPrincipal = ({ tenant, kind, name }: Principal): string =>
  `${tenant}/${subjectWord(principalKind(kind))}:${name}`;

/** Refuses what the caller has no right to do, naming what would be needed. */
export function denied(action: string, resource: string): MeshError {
  return new MeshError('PermissionDenied', `no grant to ${action} "${resource}"`, {
    reason: 'NO_GRANT',
    facts: { action, resource },
  });
}

/** A topic filter must lie wholly within the caller's grants, also when it comes back later. */
export function checkGrants(
  session: CallerSession,
  spec: { readonly topicFilters: readonly string[] },
): void {
  for (const filter of spec.topicFilters) {
    if (!session.grants.canSubscribe(filter)) throw denied('subscribe', filter);
  }
}
