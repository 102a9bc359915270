import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import { DeadLetterQuotaSchema } from '@eventmesh/proto-gen/governance';
import { eventually } from '@eventmesh/testing';
import { DeadSite, TENANT, caller, dying } from './test/dead-site.ts';

const admin = caller('admin', { admin: ['#'], inspect: ['#'] });
const KIB = 1024;
let site: DeadSite;

beforeEach(async () => {
  site = new DeadSite();
  await site.open();
  site.subscribe('billing');
});
afterEach(() => site.close());

const full = () => site.metrics.value('eventmesh_dead_letters_full', { tenant: TENANT });

describe('writing dead letters', () => {
  it('resolves when they are durable, and makes one letter of an event that dies twice', async () => {
    const { letters, port } = site.emesher('a');
    await letters.bury(TENANT, [dying(1), dying(2)]);
    // The emesher died before it could write the cursor, and the event died again elsewhere.
    await site.emesher('b').letters.bury(TENANT, [dying(2), dying(3)]);
    const { items } = await port.list(admin, {}, { size: 10, token: '' });
    expect(items.map(({ eventId }) => eventId)).toEqual(['1', '2', '3']);
  });

  it('makes a new letter of an event that dies once more after its letter was settled', async () => {
    const { letters, port } = site.emesher('a');
    await letters.bury(TENANT, [dying(1), dying(2)]);
    await port.purge(admin, { ids: [1, 2] }, { token: '' });
    await letters.bury(TENANT, [dying(1)]);
    await letters.bury(TENANT, [dying(1)]);
    const { items } = await port.list(admin, {}, { size: 10, token: '' });
    expect(items.map(({ id, eventId }) => [id, eventId])).toEqual([[3, '1']]);
  });

  it('splits what is too large for one append', async () => {
    const { letters, port } = site.emesher('a');
    const many = Array.from({ length: 40 }, (_, n) => dying(n + 1, { bytes: 1000 * KIB }));
    await letters.bury(TENANT, many);
    expect((await port.status(admin)).count).toBe(40);
  });

  it('holds at the quota, raises the alarm, and goes on as soon as there is room', async () => {
    const { letters, port } = site.emesher('a', { bytesMax: '100KiB' });
    const written: number[] = [];
    const bury = (id: number) =>
      letters.bury(TENANT, [dying(id, { bytes: 40 * KIB })]).then(() => written.push(id));
    await Promise.all([bury(1), bury(2)]);
    expect(await full()).toBe(0);
    const held = Promise.all([bury(3), bury(4)]);
    await eventually(async () => expect(await full()).toBe(1));
    expect(written).toEqual([1, 2]);
    expect(await port.status(admin)).toMatchObject({ count: 2, full: true });
    // Another tenant has a quota of its own.
    await letters.bury('evil', [dying(9)]);
    await port.purge(admin, { ids: [1, 2] }, { token: '' });
    await held;
    expect(written).toEqual([1, 2, 3, 4]);
    expect(await full()).toBe(0);
    expect(await port.status(admin)).toMatchObject({ count: 2, full: false });
  });

  it('keeps to what governance says of the tenant, as it says now', async () => {
    const { letters, port } = site.emesher('a', { bytesMax: '1GiB', retention: '30d' });
    const quota = (bytesMax: number) =>
      site.quotas.set(
        TENANT,
        create(DeadLetterQuotaSchema, {
          tenant: TENANT,
          bytesMax: BigInt(bytesMax),
          retentionMs: 3_600_000n,
          alarmPercent: 50,
        }),
      );
    quota(100 * KIB);
    const bury = (id: number) => letters.bury(TENANT, [dying(id, { bytes: 40 * KIB })]);
    await bury(1);
    expect(await port.status(admin)).toMatchObject({
      bytesMax: 100 * KIB,
      alarmBytes: 50 * KIB,
      alarm: false,
      retentionMs: 3_600_000,
    });
    await bury(2);
    expect(await port.status(admin)).toMatchObject({ count: 2, alarm: true, full: false });
    const held = bury(3);
    await eventually(async () => expect(await full()).toBe(1));
    // The configuration holds for others.
    await letters.bury('evil', [dying(9, { bytes: 200 * KIB })]);
    quota(200 * KIB);
    await held;
    expect(await port.status(admin)).toMatchObject({ count: 3, full: false });
    expect((await site.store.logInfo(`dead.${TENANT}`))?.spec.retentionMs).toBe(3_600_000);
    site.quotas.delete(TENANT);
    await bury(4);
    expect((await site.store.logInfo(`dead.${TENANT}`))?.spec.retentionMs).toBe(30 * 86_400_000);
  });

  it('tells how near the quota is, and puts a changed retention into force', async () => {
    const { letters, gauges } = site.emesher('a', { bytesMax: '100KiB' });
    await letters.bury(TENANT, [dying(1, { bytes: 90 * KIB })]);
    const value = (name: string) =>
      site.metrics.value(`eventmesh_dead_letters_${name}`, { tenant: TENANT });
    site.quotas.set(TENANT, create(DeadLetterQuotaSchema, { tenant: TENANT, retentionMs: 0n }));
    gauges.start();
    await gauges.stop();
    expect([await value('alarm'), await value('bytes_max')]).toEqual([1, 100 * KIB]);
    expect((await site.store.logInfo(`dead.${TENANT}`))?.spec.retentionMs).toBe(0);
    const bytesMax = BigInt(1024 * KIB);
    site.quotas.set(TENANT, create(DeadLetterQuotaSchema, { tenant: TENANT, bytesMax }));
    gauges.start();
    await gauges.stop();
    expect([await value('alarm'), await value('bytes_max')]).toEqual([0, 1024 * KIB]);
  });

  it('holds while the store is away, and loses nothing', async () => {
    const { letters, port } = site.emesher('a');
    let refused = 0;
    site.refusal = () => (refused++, unavailable('the store is away'));
    const held = letters.bury(TENANT, [dying(1), dying(2)]);
    await eventually(() => expect(refused).toBeGreaterThan(1));
    site.refusal = undefined;
    letters.retry(TENANT);
    await held;
    expect((await port.status(admin)).count).toBe(2);
  });

  it('goes on with the others when the store will never take one of them', async () => {
    const { letters, port } = site.emesher('a');
    site.refusal = ({ log, records }) =>
      log.startsWith('dead.') && records.some(({ bytes }) => bytes.length > 5000)
        ? new MeshError('PayloadTooLarge', 'too large')
        : undefined;
    const poison = new AbortController();
    const stuck = letters.bury(TENANT, [dying(1, { bytes: 6000 })], poison.signal);
    await letters.bury(TENANT, [dying(2), dying(3)]);
    expect((await port.status(admin)).count).toBe(2);
    poison.abort();
    await expect(stuck).rejects.toMatchObject({ code: 'Cancelled' });
  });

  it('lets whoever does not wait any more go, and writes nothing for it', async () => {
    const { letters, port } = site.emesher('a');
    site.refusal = () => unavailable('the store is away');
    const leaving = new AbortController();
    const gone = letters.bury(TENANT, [dying(1)], leaving.signal);
    const stays = letters.bury(TENANT, [dying(2)]);
    leaving.abort();
    await expect(gone).rejects.toMatchObject({ code: 'Cancelled' });
    site.refusal = undefined;
    await stays;
    const { items } = await port.list(admin, {}, { size: 10, token: '' });
    expect(items.map(({ eventId }) => eventId)).toEqual(['2']);
  });
});
