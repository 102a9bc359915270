import { create } from '@bufbuild/protobuf';
import { compileCron, principalWord, type Session } from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import { Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import {
  ScheduleSchema,
  type GovernanceService,
  type Schedule,
} from '@eventmesh/proto-gen/governance';
import type { ServiceImpl } from '@eventmesh/rpc';
import { remove, required, type Administration, type Task } from './administration.ts';
import { putSchedule, scheduleKey } from './entries.ts';
import { PREVIEW_TIMES_MAX } from './limits.ts';
import type { PolicyState } from './policy-state.ts';
import { checkSchedule, checkScheduleName } from './schedule-checks.ts';

type ScheduleCalls = Pick<
  ServiceImpl<typeof GovernanceService>,
  'putSchedule' | 'pauseSchedule' | 'deleteSchedule' | 'listSchedules' | 'previewSchedule'
>;

const PREVIEW_TIMES_DEFAULT = 5;

/** The calls for schedules, of the service for administrators. */
export function scheduleCalls(
  state: PolicyState,
  task: Administration,
  now: () => number,
): ScheduleCalls {
  const changes = (tenant: string, action: string, resource: string): Task => ({
    tenant,
    action,
    resource,
    needs: 'admin',
  });
  const stored = (key: string, name: string): Schedule => {
    const found = state.get(key);
    if (found?.kind === 'schedule') return found.value;
    throw new MeshError('NotFound', `name: there is no schedule "${name}"`, { field: 'name' });
  };
  return {
    putSchedule: ({ schedule }, ctx) => {
      const { tenant = '', name = '' } = schedule ?? {};
      return task(ctx, changes(tenant, 'put-schedule', name), async (of, session) => {
        const owner = ownerOf(session, of);
        const checked = checkSchedule(required(schedule, 'schedule'), 'schedule', now());
        const key = scheduleKey(of, name);
        await state.commit(() => {
          const before = state.get(key);
          const sinceMs = sinceOf(before?.kind === 'schedule' ? before.value : undefined, checked);
          return [putSchedule({ ...checked, ...owner, sinceMs: sinceMs ?? BigInt(now()) })];
        });
        return { schedule: stored(key, name) };
      });
    },

    pauseSchedule: ({ tenant, name, paused }, ctx) =>
      task(
        ctx,
        changes(tenant, paused ? 'pause-schedule' : 'resume-schedule', name),
        async (of) => {
          const key = scheduleKey(of, checkScheduleName(name, 'name'));
          await state.commit(() => {
            const before = stored(key, name);
            // What came due during the pause is not made up for.
            const sinceMs = before.paused && !paused ? BigInt(now()) : before.sinceMs;
            return [putSchedule(create(ScheduleSchema, { ...before, paused, sinceMs }))];
          });
          return { schedule: stored(key, name) };
        },
      ),

    deleteSchedule: ({ tenant, name }, ctx) =>
      task(ctx, changes(tenant, 'delete-schedule', name), (of) => {
        const key = scheduleKey(of, checkScheduleName(name, 'name'));
        return remove(state, key, 'name', `no schedule "${name}"`);
      }),

    listSchedules: ({ tenant, ...page }, ctx) =>
      task(
        ctx,
        { tenant, action: 'list-schedules', resource: '*', needs: 'inspect' },
        async (of) => {
          const { values, nextPageToken } = state.page('schedule', of, page);
          return { schedules: values, nextPageToken };
        },
      ),

    previewSchedule: ({ tenant, cron, timeZone, afterMs, count }, ctx) =>
      task(ctx, { tenant, action: 'preview-schedule', resource: '*', needs: 'inspect' }, async () =>
        preview(cron, timeZone, afterMs === 0n ? now() : Number(afterMs), count),
      ),
  };
}

/** Another rhythm, and a pause that ends, begin now; another event goes on as it was. */
function sinceOf(before: Schedule | undefined, after: Schedule): bigint | undefined {
  if (before === undefined || before.cron !== after.cron) return undefined;
  if (before.timeZone !== after.timeZone || (before.paused && !after.paused)) return undefined;
  return before.sinceMs;
}

/** Whoever puts a schedule can only lend it rights of its own. */
function ownerOf({ principal }: Session, tenant: string) {
  const { kind, name, roles } = principal;
  if (principal.tenant !== tenant) {
    throw new MeshError(
      'PermissionDenied',
      `a schedule publishes as whoever puts it, so it must be a principal of tenant "${tenant}"`,
      { field: 'schedule.tenant' },
    );
  }
  const ownerRoles = kind === Kind.TOKEN ? [...roles] : [];
  return { owner: `${principalWord(kind)}:${name}`, ownerRoles };
}

function preview(cron: string, timeZone: string, afterMs: number, count: number) {
  if (count > PREVIEW_TIMES_MAX) {
    throw invalid('count', `is ${count}`, { limit: `${PREVIEW_TIMES_MAX} times` });
  }
  if (Math.abs(afterMs) > 8.64e15) throw invalid('after_ms', 'is not a time');
  const times = compileCron(cron, timeZone === '' ? 'UTC' : timeZone);
  const timesMs: bigint[] = [];
  for (let at = times.next(afterMs); at !== undefined; at = times.next(at)) {
    timesMs.push(BigInt(at));
    if (timesMs.length >= (count === 0 ? PREVIEW_TIMES_DEFAULT : count)) break;
  }
  return { timesMs, warnings: times.clockWarnings(afterMs) };
}
