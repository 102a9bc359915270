import {
  parseAuthorization,
  type AuditEntryInit,
  type AuditSink,
  type Authorizer,
  type Session,
} from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import type { KvOperation } from '@eventmesh/kv-api';
import { Action, Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import type { EventType, GovernanceService, Quota, Topic } from '@eventmesh/proto-gen/governance';
import type { CallContext, ServiceImpl } from '@eventmesh/rpc';
import type { AuditLog } from './audit-log.ts';
import {
  checkEventType,
  checkPrincipal,
  checkQuota,
  checkTenant,
  checkTopic,
  checkType,
} from './checks.ts';
import { putEventType, putQuota, putTopic, quotaKey, topicKey, typeKey } from './entries.ts';
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

interface Task {
  readonly tenant: string;
  /** As in the audit: `put-topic`. */
  readonly action: string;
  readonly resource: string;
  readonly needs: 'admin' | 'inspect';
}

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;

/** The wire side for administrators and developers. */
export function governanceService(parts: GovernanceParts): ServiceImpl<typeof GovernanceService> {
  const { state, audit } = parts;
  const task = administration(parts);
  const changes = (tenant: string, action: string, resource: string): Task => ({
    tenant,
    action,
    resource,
    needs: 'admin',
  });
  const reads = (tenant: string, action: string): Task => ({
    tenant,
    action,
    resource: '*',
    needs: 'inspect',
  });
  return {
    putTopic: ({ topic }, ctx) =>
      task(ctx, changes(topic?.tenant ?? '', 'put-topic', topic?.topicFilter ?? ''), async () => {
        const checked = checkTopic(required(topic, 'topic'), 'topic');
        const put = putTopic(checked);
        await state.commit(() => [put]);
        return { topic: state.get(put.key)?.value as Topic };
      }),

    deleteTopic: ({ tenant, topicFilter }, ctx) =>
      task(ctx, changes(tenant, 'delete-topic', topicFilter), (of) =>
        remove(state, topicKey(of, topicFilter), 'topic_filter', `no topic entry "${topicFilter}"`),
      ),

    listTopics: ({ tenant }, ctx) =>
      task(ctx, reads(tenant, 'list-topics'), async (of) => ({ topics: state.topics(of) })),

    putEventType: ({ eventType }, ctx) => {
      const { tenant = '', type = '' } = eventType ?? {};
      return task(ctx, changes(tenant, 'put-event-type', type), async () => {
        const put = putEventType(checkEventType(required(eventType, 'event_type'), 'event_type'));
        await state.commit(() => [put]);
        return { eventType: state.get(put.key)?.value as EventType };
      });
    },

    deleteEventType: ({ tenant, type }, ctx) =>
      task(ctx, changes(tenant, 'delete-event-type', type), (of) =>
        remove(state, typeKey(of, checkType(type, 'type')), 'type', `no event type "${type}"`),
      ),

    listEventTypes: ({ tenant }, ctx) =>
      task(ctx, reads(tenant, 'list-event-types'), async (of) => ({ eventTypes: state.types(of) })),

    putQuota: ({ quota }, ctx) =>
      task(ctx, changes(quota?.tenant ?? '', 'put-quota', quota?.principal ?? ''), async () => {
        const put = putQuota(checkQuota(required(quota, 'quota'), 'quota'));
        await state.commit(() => [put]);
        return { quota: state.get(put.key)?.value as Quota };
      }),

    deleteQuota: ({ tenant, principal }, ctx) =>
      task(ctx, changes(tenant, 'delete-quota', principal), (of) => {
        const key = quotaKey(of, checkPrincipal(principal, 'principal'));
        return remove(state, key, 'principal', `no quota of "${principal}"`);
      }),

    listQuotas: ({ tenant }, ctx) =>
      task(ctx, reads(tenant, 'list-quotas'), async (of) => ({ quotas: state.quotas(of) })),

    listAudit: ({ tenant, afterSequence, pageSize }, ctx) =>
      task(ctx, reads(tenant, 'list-audit'), async (of) => {
        if (pageSize > PAGE_MAX) {
          throw invalid('page_size', `is ${pageSize}`, { limit: `${PAGE_MAX} entries` });
        }
        if (afterSequence < 0n) throw invalid('after_sequence', 'must be 0 or more');
        const limit = pageSize === 0 ? PAGE_DEFAULT : pageSize;
        return { entries: await audit.list(of, Number(afterSequence), limit, ctx.signal) };
      }),

    verifyAudit: (_, ctx) =>
      task(ctx, reads(parts.operatorTenant, 'verify-audit'), async () => {
        const { intact, brokenSequence, entries } = await audit.verify(ctx.signal);
        return { intact, brokenSequence: BigInt(brokenSequence), entries: BigInt(entries) };
      }),
  };
}

async function remove(state: PolicyState, key: string, field: string, none: string) {
  await state.commit((): KvOperation[] => {
    if (state.get(key) === undefined) {
      throw new MeshError('NotFound', `${field}: there is ${none}`, { field });
    }
    return [{ type: 'delete', key }];
  });
  return {};
}

/** Runs a task for a caller who may do it, and audits changes and refusals. */
function administration(parts: GovernanceParts) {
  const { audit, note, state } = parts;
  return async <T>(
    ctx: CallContext,
    task: Task,
    run: (tenant: string) => Promise<T>,
  ): Promise<T> => {
    const authorization = parseAuthorization(ctx.metadata.get('authorization'));
    const session = await parts.authorizer.authenticate(authorization);
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
    let result: T;
    try {
      const tenant = checkTenant(task.tenant, 'tenant');
      checkAllowed(parts, session, task, tenant);
      result = await run(tenant);
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

const KIND_NAMES: Readonly<Record<number, string>> = Object.freeze({
  [Kind.USER]: 'user',
  [Kind.API_KEY]: 'key',
  [Kind.TOKEN]: 'token',
  [Kind.SERVICE]: 'service',
});

const subjectOf = ({ principal }: Session): string =>
  `${KIND_NAMES[principal.kind] ?? 'unknown'}:${principal.name}`;

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

function required<T>(given: T | undefined, field: string): T {
  if (given === undefined) throw invalid(field, 'is missing');
  return given;
}
