import type { EventType, GovernanceService, Quota, Topic } from '@eventmesh/proto-gen/governance';
import type { ServiceImpl } from '@eventmesh/rpc';
import {
  administration,
  remove,
  required,
  type GovernanceParts,
  type Task,
} from './administration.ts';
import { auditCalls } from './audit-calls.ts';
import { checkEventType, checkPrincipal, checkQuota, checkTopic, checkType } from './checks.ts';
import { deadLetterQuotaCalls } from './dead-letter-quota.ts';
import { putEventType, putQuota, putTopic, quotaKey, topicKey, typeKey } from './entries.ts';
import { scheduleCalls } from './schedule-service.ts';

/** The wire side for administrators and developers. */
export function governanceService(parts: GovernanceParts): ServiceImpl<typeof GovernanceService> {
  const { state } = parts;
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

    listTopics: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-topics'), async (of) => {
        const { values, nextPageToken } = state.page('topic', of, page);
        return { topics: values, nextPageToken };
      }),

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

    listEventTypes: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-event-types'), async (of) => {
        const { values, nextPageToken } = state.page('type', of, page);
        return { eventTypes: values, nextPageToken };
      }),

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

    listQuotas: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-quotas'), async (of) => {
        const { values, nextPageToken } = state.page('quota', of, page);
        return { quotas: values, nextPageToken };
      }),

    ...deadLetterQuotaCalls(state, task),

    ...scheduleCalls(state, task, parts.now),

    ...auditCalls(parts, task),
  };
}
