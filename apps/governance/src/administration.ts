import {
  parseAuthorization,
  subjectWord,
  type AuditEntryInit,
  type AuditSink,
  type Authorizer,
  type Session,
} from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import type { KvOperation } from '@eventmesh/kv-api';
import { Action } from '@eventmesh/proto-gen/acl';
import type { CallContext, RegisterOptions } from '@eventmesh/rpc';
import type { AuditLog } from './audit-log.ts';
import { checkTenant } from './checks.ts';
import type { PolicyState } from './policy-state.ts';

export interface GovernanceParts {
  readonly state: PolicyState;
  readonly audit: AuditLog;
  /** For entries that need not be stored before the answer. */
  readonly note: AuditSink;
  readonly authorizer: Authorizer;
  readonly now: () => number;
  readonly member: string;
  /** The tenant whose administrators may look after other tenants too. */
  readonly operatorTenant: string;
}

export interface Task {
  readonly tenant: string;
  /** As in the audit: `put-topic`. */
  readonly action: string;
  readonly resource: string;
  readonly needs: 'admin' | 'inspect';
}

/** Runs a task for a caller who may do it, in its tenant. */
export type Administration = <T>(
  ctx: CallContext,
  task: Task,
  run: (tenant: string, session: Session) => Promise<T>,
) => Promise<T>;

export async function remove(state: PolicyState, key: string, field: string, none: string) {
  await state.commit((): KvOperation[] => {
    if (state.get(key) === undefined) {
      throw new MeshError('NotFound', `${field}: there is ${none}`, { field });
    }
    return [{ type: 'delete', key }];
  });
  return {};
}

const SESSIONS = new WeakMap<CallContext, Promise<Session>>();

/** Who calls; asked for once a call, by the guard, before the message is read. */
function sessionOf(authorizer: Authorizer, ctx: CallContext): Promise<Session> {
  let session = SESSIONS.get(ctx);
  if (session === undefined) {
    const authorization = ctx.metadata.get('authorization');
    session = Promise.resolve().then(() =>
      authorizer.authenticate(parseAuthorization(authorization)),
    );
    SESSIONS.set(ctx, session);
  }
  return session;
}

/** Refuses callers without valid credentials. */
export const sessionGuard = (authorizer: Authorizer): RegisterOptions => ({
  guard: async (ctx) => {
    await sessionOf(authorizer, ctx);
  },
});

/** Runs a task for a caller who may do it, and audits changes and refusals. */
export function administration(parts: GovernanceParts): Administration {
  const { audit, note, state } = parts;
  return async (ctx, task, run) => {
    const session = await sessionOf(parts.authorizer, ctx);
    const changes = task.needs === 'admin';
    const entry = (outcome: string, reason: string): AuditEntryInit => ({
      timeMs: BigInt(parts.now()),
      tenant: task.tenant === '' ? 'default' : task.tenant,
      principal: `${session.principal.tenant}/${subjectOf(session)}`,
      action: task.action,
      resource: task.resource,
      outcome,
      reason,
      policyRevision: BigInt(state.version),
      member: parts.member,
      count: 1n,
    });
    let result: Awaited<ReturnType<typeof run>>;
    try {
      const tenant = checkTenant(task.tenant, 'tenant');
      checkAllowed(parts, session, task, tenant);
      result = await run(tenant, session);
    } catch (error) {
      const failure = MeshError.from(error);
      if (changes || failure.code === 'PermissionDenied') note(entry('refused', failure.reason));
      throw error;
    }
    if (changes) await tell(audit, note, entry('done', ''));
    return result;
  };
}

/** Stored before the answer; when the store is away the change stands and the entry waits. */
async function tell(audit: AuditLog, note: AuditSink, entry: AuditEntryInit): Promise<void> {
  try {
    await audit.append([entry]);
  } catch {
    // The audit log has reported the cause; the spool tries until it succeeds.
    note(entry);
  }
}

const subjectOf = ({ principal }: Session): string =>
  `${subjectWord(principal.kind) ?? 'unknown'}:${principal.name}`;

/** On `governance` in one's own tenant; on `tenants/NAME` for operators elsewhere. */
function checkAllowed(parts: GovernanceParts, session: Session, task: Task, tenant: string): void {
  const own = session.principal.tenant === tenant;
  const resource = own ? 'governance' : `tenants/${tenant}`;
  const reads = task.needs === 'inspect' && session.can(Action.INSPECT, resource);
  const allowed = reads || session.can(Action.ADMIN, resource);
  if (allowed && (own || session.principal.tenant === parts.operatorTenant)) return;
  throw new MeshError(
    'PermissionDenied',
    `${subjectOf(session)} may not ${task.action} in tenant "${tenant}"; it needs the action ` +
      `${task.needs} on ${resource}`,
  );
}

export function required<T>(given: T | undefined, field: string): T {
  if (given === undefined) throw invalid(field, 'is missing');
  return given;
}
