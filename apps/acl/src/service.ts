import type { MessageInitShape } from '@bufbuild/protobuf';
import { REVISION_NOT_KEPT } from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import type { AclService, GrantSchema, PrincipalSchema } from '@eventmesh/proto-gen/acl';
import type { ServiceImpl } from '@eventmesh/rpc';
import type { Authenticator, Identity } from './authenticator.ts';
import type { Directory } from './directory.ts';
import { HISTORY_MAX } from './history.ts';
import type { AclMetrics } from './metrics.ts';
import { ACTION_NAMES, actionName } from './names.ts';
import type { DirectoryPolicy } from './policy.ts';
import type { Rights } from './rights.ts';

/** How often a watcher is told the revision though it is the same: the sign that we live. */
export const WATCH_HEARTBEAT_MS = 5000;

export interface AclServiceParts {
  readonly directory: Directory;
  readonly authenticator: Authenticator;
  readonly policy: DirectoryPolicy;
  readonly metrics: AclMetrics;
  /** How long an answer to Authenticate may be used, in ms. */
  readonly cacheMs: number;
}

/** The wire side for the mesh's own services. */
export function aclService(parts: AclServiceParts): ServiceImpl<typeof AclService> {
  const { directory, authenticator, policy, metrics, cacheMs } = parts;
  return {
    async authenticate({ credential }) {
      const kind = credential?.credential.case ?? 'none';
      try {
        const identity = await authenticator.authenticate(credential);
        metrics.authentications.inc({ kind, outcome: 'accepted' });
        return {
          principal: principalOf(identity),
          grants: grantsOf(directory.rights, identity),
          revision: BigInt(directory.version),
          expiresMs: BigInt(identity.expiresMs),
          cacheMs: BigInt(cacheMs),
        };
      } catch (error) {
        const refused = MeshError.from(error).code === 'Unauthenticated';
        metrics.authentications.inc({ kind, outcome: refused ? 'refused' : 'failed' });
        throw error;
      }
    },

    async effectiveGrants({ principal, atRevision }) {
      const past = atRevision === 0n ? undefined : pastRights(directory, Number(atRevision));
      const identity = authenticator.recall(principal, past);
      const rights = past ?? directory.rights;
      const revision = BigInt(rights.version);
      if (identity === undefined) return { grants: [], revision, known: false };
      return { grants: grantsOf(rights, identity), revision, known: true };
    },

    async check({ principal, action, topic }) {
      if (topic === '') throw invalid('topic', 'is empty');
      const name = actionName(action, 'action');
      const identity = authenticator.recall(principal);
      const revision = BigInt(directory.version);
      const allowed = identity !== undefined && (await policy.enforce(identity, name, topic));
      metrics.checks.inc({ outcome: allowed ? 'allowed' : 'denied' });
      return { allowed, revision };
    },

    async *watchPolicy(_, ctx) {
      directory.checkFresh();
      metrics.watchers.inc();
      try {
        while (!ctx.signal.aborted && !ctx.draining.aborted) {
          // Out of touch with the store there may be a newer one: silence then, not a sign of life.
          if (directory.connected) yield { revision: BigInt(directory.version) };
          await directory.changed(
            AbortSignal.any([ctx.signal, ctx.draining, AbortSignal.timeout(WATCH_HEARTBEAT_MS)]),
          );
        }
      } finally {
        metrics.watchers.dec();
      }
    },
  };
}

function pastRights(directory: Directory, revision: number): Rights {
  const rights = directory.rightsAt(revision);
  if (rights !== undefined) return rights;
  throw new MeshError(
    'NotFound',
    `at_revision: the grants of revision ${revision} are no longer kept, or not known here yet`,
    { field: 'at_revision', reason: REVISION_NOT_KEPT, limit: `${HISTORY_MAX} changes` },
  );
}

export const principalOf = (identity: Identity): MessageInitShape<typeof PrincipalSchema> => ({
  tenant: identity.tenant,
  kind: identity.kind,
  name: identity.name,
  roles: [...identity.roles],
});

/** The policy lines of an identity and of all its roles; what the emesher compiles. */
export function grantsOf(
  rights: Rights,
  identity: Identity,
): MessageInitShape<typeof GrantSchema>[] {
  const { tenant, subject, roles } = identity;
  const policies = rights.policiesOf(tenant, rights.subjects(tenant, subject, roles));
  const grants = policies.map(({ action, filter, deny }) => ({
    action: ACTION_NAMES[action],
    topicFilter: filter,
    deny,
  }));
  // Roles often allow the same; on the hot path less is more.
  return [...new Map(grants.map((grant) => [JSON.stringify(grant), grant])).values()];
}
