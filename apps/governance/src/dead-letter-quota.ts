import { create } from '@bufbuild/protobuf';
import { invalid } from '@eventmesh/errors';
import { DeadLetterQuotaSchema, type DeadLetterQuota } from '@eventmesh/proto-gen/governance';
import type { GovernanceService } from '@eventmesh/proto-gen/governance';
import type { ServiceImpl } from '@eventmesh/rpc';
import { remove, required, type Administration, type Task } from './administration.ts';
import { checkTenant } from './checks.ts';
import { deadLetterQuotaKey, putDeadLetterQuota } from './entries.ts';
import { DEAD_LETTER_BYTES_MIN } from './limits.ts';
import type { PolicyState } from './policy-state.ts';

type Calls = Pick<
  ServiceImpl<typeof GovernanceService>,
  'putDeadLetterQuota' | 'deleteDeadLetterQuota' | 'getDeadLetterQuota'
>;

/** @throws MeshError InvalidArgument that names the field and the limit. */
export function checkDeadLetterQuota(quota: DeadLetterQuota, field: string): DeadLetterQuota {
  const { bytesMax, retentionMs, alarmPercent } = quota;
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (bytesMax !== 0n && (bytesMax < BigInt(DEAD_LETTER_BYTES_MIN) || bytesMax > most)) {
    throw invalid(`${field}.bytes_max`, `is ${bytesMax}`, {
      limit: `at least ${DEAD_LETTER_BYTES_MIN} bytes, or 0 for what the emeshers are configured with`,
    });
  }
  if (retentionMs !== undefined && (retentionMs < 0n || retentionMs > most)) {
    throw invalid(`${field}.retention_ms`, 'must be 0 or more; 0 keeps dead letters');
  }
  if (alarmPercent > 100) {
    throw invalid(`${field}.alarm_percent`, `is ${alarmPercent}`, { limit: '1 to 100 percent' });
  }
  return { ...quota, tenant: checkTenant(quota.tenant, `${field}.tenant`) };
}

/** The calls for the quota of dead letters, of the service for administrators. */
export function deadLetterQuotaCalls(state: PolicyState, task: Administration): Calls {
  const about = (tenant: string, action: string, needs: Task['needs']): Task => ({
    tenant,
    action,
    resource: 'dead-letters',
    needs,
  });
  const find = (tenant: string) => {
    const found = state.get(deadLetterQuotaKey(tenant));
    return found?.kind === 'dead-letters' ? { deadLetterQuota: found.value } : {};
  };
  return {
    putDeadLetterQuota: ({ deadLetterQuota: given }, ctx) =>
      task(ctx, about(given?.tenant ?? '', 'put-dead-letter-quota', 'admin'), async (tenant) => {
        const quota = required(given, 'dead_letter_quota');
        const put = putDeadLetterQuota(checkDeadLetterQuota(quota, 'dead_letter_quota'));
        await state.commit(() => [put]);
        return find(tenant);
      }),

    deleteDeadLetterQuota: ({ tenant }, ctx) =>
      task(ctx, about(tenant, 'delete-dead-letter-quota', 'admin'), (of) =>
        remove(state, deadLetterQuotaKey(of), 'tenant', `no dead-letter quota of "${of}"`),
      ),

    getDeadLetterQuota: ({ tenant }, ctx) =>
      task(ctx, about(tenant, 'get-dead-letter-quota', 'inspect'), async (of) => find(of)),
  };
}

/** An entry of a bootstrap file; what is left out is as the emeshers are configured. */
export function deadLetterQuotaEntry(given: {
  readonly tenant: string;
  readonly bytesMax: number | undefined;
  readonly retention: number | undefined;
  readonly alarmPercent: number | undefined;
}) {
  const { tenant, bytesMax = 0, retention, alarmPercent = 0 } = given;
  const quota = create(DeadLetterQuotaSchema, {
    tenant,
    bytesMax: BigInt(bytesMax),
    ...(retention === undefined ? {} : { retentionMs: BigInt(retention) }),
    alarmPercent,
  });
  return putDeadLetterQuota(checkDeadLetterQuota(quota, 'dead_letter_quota'));
}
