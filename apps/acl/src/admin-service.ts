import { compileGrants, parseAuthorization, type AuditSink } from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import type { Clock } from '@eventmesh/kv-api';
import { Action, type AclAdminService, type Policy } from '@eventmesh/proto-gen/acl';
import type { CallContext, RegisterOptions, ServiceImpl } from '@eventmesh/rpc';
import { adminLists, keyMessage } from './admin-lists.ts';
import type { Authenticator, Identity } from './authenticator.ts';
import type { Changes } from './changes.ts';
import type { Directory } from './directory.ts';
import { ACTION_NAMES, actionName, checkTenant } from './names.ts';
import type { PolicyRecord } from './records.ts';
import { grantsOf } from './service.ts';

export interface AdminParts {
  readonly directory: Directory;
  readonly authenticator: Authenticator;
  /** Of operators, in other tenants. */
  readonly changes: Changes;
  /** Of a tenant's own administrators, who may not lock themselves out. */
  readonly ownChanges: Changes;
  readonly clock: Clock;
  readonly member: string;
  /** The tenant whose administrators may look after other tenants too. */
  readonly operatorTenant: string;
  readonly audit: AuditSink;
}

/** What an admin call is about, for the decision and the audit. */
export interface Task {
  readonly tenant: string;
  /** As in the audit: `put-user`. */
  readonly action: string;
  readonly resource: string;
  /** Reading is audited only when it is refused. */
  readonly reads?: boolean;
}

/** Runs a task for a caller who may administer its tenant. */
export type Administration = <T>(
  ctx: CallContext,
  task: Task,
  run: (tenant: string, changes: Changes) => Promise<T>,
) => Promise<T>;

/** The wire side for administrators: each call authenticates, is decided and audited. */
export function aclAdminService(parts: AdminParts): ServiceImpl<typeof AclAdminService> {
  const { directory } = parts;
  const task = administration(parts);
  return {
    putUser: ({ user, password }, ctx) =>
      task(
        ctx,
        { ...about(user), action: 'put-user', resource: `user:${user?.name}` },
        async (_, changes) => {
          await changes.putUser(required(user, 'user'), password);
          return {};
        },
      ),

    deleteUser: ({ tenant, name }, ctx) =>
      task(ctx, { tenant, action: 'delete-user', resource: `user:${name}` }, async (_, changes) => {
        await changes.deleteUser(tenant, name);
        return {};
      }),

    createApiKey: ({ tenant, name, roles, expiresMs }, ctx) =>
      task(
        ctx,
        { tenant, action: 'create-api-key', resource: `key:${name}` },
        async (_, changes) => {
          const created = { tenant, name, roles, expiresMs: Number(expiresMs) };
          const { key, secret } = await changes.createApiKey(created);
          return { key: keyMessage(key), secret };
        },
      ),

    revokeApiKey: ({ tenant, id }, ctx) =>
      task(ctx, { tenant, action: 'revoke-api-key', resource: id }, async (_, changes) => {
        await changes.revokeApiKey(tenant, id);
        return {};
      }),

    putPolicy: ({ policy }, ctx) =>
      task(
        ctx,
        { ...about(policy), action: 'put-policy', resource: line(policy) },
        async (_, changes) => ({
          revision: BigInt(await changes.putPolicy(policyRecord(policy))),
        }),
      ),

    deletePolicy: ({ policy }, ctx) =>
      task(
        ctx,
        { ...about(policy), action: 'delete-policy', resource: line(policy) },
        async (_, changes) => ({
          revision: BigInt(await changes.deletePolicy(policyRecord(policy))),
        }),
      ),

    assignRole: ({ assignment }, ctx) => {
      const resource = `${assignment?.subject} has ${assignment?.role}`;
      return task(
        ctx,
        { ...about(assignment), action: 'assign-role', resource },
        async (_, changes) => ({
          revision: BigInt(await changes.assignRole(required(assignment, 'assignment'))),
        }),
      );
    },

    revokeRole: ({ assignment }, ctx) => {
      const resource = `${assignment?.subject} has ${assignment?.role}`;
      return task(
        ctx,
        { ...about(assignment), action: 'revoke-role', resource },
        async (_, changes) => ({
          revision: BigInt(await changes.revokeRole(required(assignment, 'assignment'))),
        }),
      );
    },

    ...adminLists(directory, task),
  };
}

const CALLERS = new WeakMap<CallContext, Promise<Identity>>();

/** Who calls; asked for once a call, by the guard, before the message is read. */
function callerOf(authenticator: Authenticator, ctx: CallContext): Promise<Identity> {
  let caller = CALLERS.get(ctx);
  if (caller === undefined) {
    const authorization = ctx.metadata.get('authorization');
    caller = Promise.resolve().then(() =>
      authenticator.authenticate(parseAuthorization(authorization)),
    );
    CALLERS.set(ctx, caller);
  }
  return caller;
}

/** Refuses callers without valid credentials. */
export const adminGuard = (authenticator: Authenticator): RegisterOptions => ({
  guard: async (ctx) => {
    await callerOf(authenticator, ctx);
  },
});

/** Runs a task for a caller who may administer its tenant, and audits how it ended. */
function administration(parts: AdminParts): Administration {
  const { authenticator, audit, clock, directory, member } = parts;
  return async (ctx, task, run) => {
    const caller = await callerOf(authenticator, ctx);
    const tell = (outcome: string, reason: string) => {
      audit({
        timeMs: BigInt(clock.now()),
        tenant: task.tenant,
        principal: `${caller.tenant}/${caller.subject}`,
        action: task.action,
        resource: task.resource,
        outcome,
        reason,
        policyRevision: BigInt(directory.version),
        member,
      });
    };
    try {
      const tenant = checkTenant(task.tenant, 'tenant');
      checkAdmin(parts, caller, tenant);
      const changes = caller.tenant === tenant ? parts.ownChanges : parts.changes;
      const result = await run(tenant, changes);
      if (task.reads !== true) tell('done', '');
      return result;
    } catch (error) {
      const failure = MeshError.from(error);
      if (task.reads !== true || failure.code === 'PermissionDenied')
        tell('refused', failure.reason);
      throw error;
    }
  };
}

/** `admin` on `acl` in one's own tenant; on `tenants/NAME` for operators elsewhere. */
function checkAdmin(parts: AdminParts, caller: Identity, tenant: string): void {
  const own = caller.tenant === tenant;
  const resource = own ? 'acl' : `tenants/${tenant}`;
  const grants = compileGrants(grantsOf(parts.directory.rights, caller));
  const allowed = grants.allows(Action.ADMIN, resource);
  if (allowed && (own || caller.tenant === parts.operatorTenant)) return;
  throw new MeshError(
    'PermissionDenied',
    `${caller.subject} may not administer the acl of tenant "${tenant}"; it needs the action ` +
      `admin on ${resource}`,
  );
}

const about = (given: { tenant: string } | undefined) => ({ tenant: given?.tenant ?? '' });

function required<T>(given: T | undefined, field: string): T {
  if (given === undefined) throw invalid(field, 'is missing');
  return given;
}

const line = (policy: Policy | undefined): string =>
  policy === undefined
    ? ''
    : `${policy.subject} ${policy.deny ? 'denied' : 'allowed'} ` +
      `${actionText(policy.action)} ${policy.topicFilter}`;

const actionText = (action: Action): string =>
  Object.entries(ACTION_NAMES).find(([, value]) => value === action)?.[0] ?? 'unknown';

function policyRecord(policy: Policy | undefined): Omit<PolicyRecord, 'type'> {
  const { tenant, subject, action, topicFilter, deny } = required(policy, 'policy');
  return {
    tenant,
    subject,
    action: actionName(action, 'policy.action'),
    filter: topicFilter,
    deny,
  };
}
