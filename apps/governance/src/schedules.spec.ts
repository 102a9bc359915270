import { afterEach, describe, expect, it } from '@jest/globals';
import { LatePolicy } from '@eventmesh/proto-gen/event';
import { startGovernance, type FixtureOptions } from '../test/governance-fixture.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(options: FixtureOptions = {}) {
  const governance = await startGovernance(options);
  stops.push(() => governance.stop());
  return { ...governance, admin: governance.as('admin') };
}

const SCHEDULE = {
  name: 'report',
  cron: '0 8 * * *',
  topic: 'reports/daily',
  event: { type: 'report', attributes: { partitionkey: 'k' } },
};

describe('schedules', () => {
  it('are kept with their defaults, as whoever put them', async () => {
    const { admin } = await start();
    const before = Date.now();
    const { schedule } = await admin.putSchedule({
      schedule: { ...SCHEDULE, owner: 'user:somebody-else', sinceMs: 5n },
    });
    expect(schedule).toMatchObject({
      tenant: 'default',
      timeZone: 'UTC',
      owner: 'user:admin',
      paused: false,
      event: { source: '/schedules/report', attributes: { partitionkey: 'k' } },
    });
    expect(Number(schedule?.sinceMs)).toBeGreaterThanOrEqual(before);
    expect((await admin.listSchedules({})).schedules).toEqual([schedule]);
    await admin.deleteSchedule({ name: 'report' });
    expect((await admin.listSchedules({})).schedules).toEqual([]);
    await expect(admin.deleteSchedule({ name: 'report' })).rejects.toMatchObject({
      code: 'NotFound',
    });
  });

  it('begin anew with another rhythm and after a pause, and not with another event', async () => {
    const { admin } = await start();
    const put = async (more: object) =>
      (await admin.putSchedule({ schedule: { ...SCHEDULE, ...more } })).schedule?.sinceMs ?? 0n;
    const first = await put({});
    expect(await put({ event: { type: 'other' } })).toBe(first);
    const other = await put({ cron: '0 9 * * *' });
    expect(other).toBeGreaterThanOrEqual(first);
    const pause = async (paused: boolean) =>
      (await admin.pauseSchedule({ name: 'report', paused })).schedule;
    expect(await pause(true)).toMatchObject({ paused: true, sinceMs: other });
    const again = await pause(false);
    expect(again?.paused).toBe(false);
    expect(again?.sinceMs).toBeGreaterThanOrEqual(other);
    await expect(admin.pauseSchedule({ name: 'none' })).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('are a matter of administrators of their own tenant', async () => {
    const governance = await start();
    const denied = { code: 'PermissionDenied' };
    for (const user of ['reader', 'nobody', 'ada']) {
      const put = governance.as(user).putSchedule({ schedule: SCHEDULE });
      await expect(put).rejects.toMatchObject(denied);
    }
    const elsewhere = governance.admin.putSchedule({ schedule: { ...SCHEDULE, tenant: 'acme' } });
    await expect(elsewhere).rejects.toMatchObject(denied);
    expect((await governance.as('reader').listSchedules({})).schedules).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['a name with a slash', { name: 'a/b' }, 'schedule.name'],
    ['no topic', { topic: '' }, 'schedule.topic'],
    ['no event', { event: undefined }, 'schedule.event'],
    ['an unknown late policy', { latePolicy: 99 }, 'schedule.late_policy'],
    [
      'a time of its own',
      { event: { type: 't', attributes: { time: 'x' } } },
      'schedule.event.attributes',
    ],
    [
      'an attribute of the mesh',
      { event: { type: 't', attributes: { meshx: 'x' } } },
      'schedule.event',
    ],
    [
      'too much data',
      { event: { type: 't', data: { case: 'text', value: 'x'.repeat(65_537) } } },
      'schedule.event.data',
    ],
  ])('are refused with %s', async (_, more, field) => {
    const { admin } = await start();
    await expect(
      admin.putSchedule({ schedule: { ...SCHEDULE, ...more } as never }),
    ).rejects.toMatchObject({ code: 'InvalidArgument', details: { field } });
  });

  it('are told to members with the policy and with each change', async () => {
    const { admin, policy } = await start();
    await admin.putSchedule({ schedule: SCHEDULE });
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const { change } of policy.watchPolicy({}, { signal: stop.signal })) {
      if (change.case === 'snapshot') {
        seen.push(...change.value.schedules.map(({ name }) => `snapshot ${name}`));
        await admin.putSchedule({ schedule: { ...SCHEDULE, name: 'second' } });
        await admin.deleteSchedule({ name: 'report' });
      } else if (change.case === 'schedule' || change.case === 'scheduleDeleted') {
        seen.push(`${change.case} ${change.value.name}`);
      }
      if (seen.length === 3) break;
    }
    stop.abort();
    expect(seen).toEqual(['snapshot report', 'schedule second', 'scheduleDeleted report']);
  });

  it('come from a bootstrap file, the same each time', async () => {
    const bootstrap = `
schedules:
  - { name: tick, cron: '*/5 * * * *', topic: ticks, owner: 'user:ann', type: tick, data: '{}', latePolicy: skip }
`;
    const { admin } = await start({ bootstrap, apply: 'always' });
    const { schedules } = await admin.listSchedules({});
    expect(schedules).toMatchObject([
      {
        name: 'tick',
        owner: 'user:ann',
        latePolicy: LatePolicy.SKIP,
        sinceMs: 0n,
        event: { type: 'tick', source: '/schedules/tick', data: { case: 'text', value: '{}' } },
      },
    ]);
  });

  it('tell when they come due, and no more than was asked for', async () => {
    const { admin } = await start();
    const { timesMs } = await admin.previewSchedule({ cron: '0 0 1 1 *', afterMs: 1n, count: 2 });
    expect(timesMs.map((ms) => new Date(Number(ms)).getUTCFullYear())).toEqual([1971, 1972]);
    const many = admin.previewSchedule({ cron: '* * * * *', count: 101 });
    await expect(many).rejects.toMatchObject({ details: { field: 'count' } });
  });
});
