import { afterEach, describe, expect, it } from '@jest/globals';
import { DeliveryClass, DurabilityClass } from '@eventmesh/proto-gen/event';
import { EventType_Enforcement as Enforcement } from '@eventmesh/proto-gen/governance';
import { eventually, tempDir } from '@eventmesh/testing';
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

describe('the catalogue', () => {
  it('keeps topics, event types and quotas with the revision of their last change', async () => {
    const { admin } = await start();
    const { topic } = await admin.putTopic({
      topic: {
        topicFilter: 'orders/#',
        deliveryClass: DeliveryClass.DURABLE,
        durabilityMin: DurabilityClass.FSYNC,
        eventTypes: ['order.created', 'order.created'],
        retentionMs: 1000n,
      },
    });
    expect(topic).toMatchObject({ tenant: 'default', eventTypes: ['order.created'] });
    const { eventType } = await admin.putEventType({
      eventType: { type: 'order.created', jsonSchema: '{"type":"object"}' },
    });
    const { quota } = await admin.putQuota({ quota: { principal: 'ann', eventsPerSecond: 5n } });
    expect(eventType?.revision).toBeGreaterThan(topic?.revision ?? 0n);
    expect(quota?.revision).toBeGreaterThan(eventType?.revision ?? 0n);
    expect((await admin.listTopics({})).topics).toEqual([topic]);
    expect((await admin.listEventTypes({})).eventTypes).toEqual([eventType]);
    expect((await admin.listQuotas({})).quotas).toEqual([quota]);

    await admin.deleteTopic({ topicFilter: 'orders/#' });
    await admin.deleteEventType({ type: 'order.created' });
    await admin.deleteQuota({ principal: 'ann' });
    expect((await admin.listTopics({})).topics).toEqual([]);
    await expect(admin.deleteTopic({ topicFilter: 'orders/#' })).rejects.toMatchObject({
      code: 'NotFound',
    });
  });

  it('keeps tenants apart', async () => {
    const governance = await start();
    const ada = governance.as('ada');
    await ada.putTopic({ topic: { tenant: 'acme', topicFilter: 'a' } });
    expect((await governance.admin.listTopics({})).topics).toEqual([]);
    expect((await governance.admin.listTopics({ tenant: 'acme' })).topics).toHaveLength(1);
    await expect(ada.listTopics({})).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(ada.putTopic({ topic: { topicFilter: 'a' } })).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each<[string, object]>([
    ['topic.topic_filter', { topicFilter: '' }],
    ['topic.topic_filter', { topicFilter: 'a/#/b' }],
    ['topic.topic_filter', { topicFilter: '$SYS/#' }],
    ['tenant', { tenant: 'a/b', topicFilter: 'a' }],
    ['topic.retention_ms', { topicFilter: 'a', retentionMs: -1n }],
    ['topic.event_bytes_max', { topicFilter: 'a', eventBytesMax: 2n ** 60n }],
    ['topic.delivery_class', { topicFilter: 'a', deliveryClass: 99 }],
    ['topic.event_types[0]', { topicFilter: 'a', eventTypes: [''] }],
    ['topic.event_types', { topicFilter: 'a', eventTypes: Array.from({ length: 1001 }, String) }],
    ['topic.description', { topicFilter: 'a', description: 'x'.repeat(5000) }],
  ])('refuses a topic with a bad %s', async (field, topic) => {
    const { admin } = await start();
    await expect(admin.putTopic({ topic })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });

  it.each<[string, object]>([
    ['not JSON', { jsonSchema: '{' }],
    ['no schema', { jsonSchema: '{"type":"strnig"}' }],
    ['a remote reference', { jsonSchema: '{"$ref":"https://example.com/x"}' }],
    ['a pattern that could explode', { jsonSchema: '{"pattern":"(?=a)"}' }],
    ['an unknown enforcement', { jsonSchema: '', enforcement: 9 }],
    ['no name', { type: '' }],
  ])('refuses an event type with %s', async (_, more) => {
    const { admin } = await start();
    await expect(admin.putEventType({ eventType: { type: 'a', ...more } })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
  });

  it('refuses quotas that are negative or for a name with wildcards', async () => {
    const { admin } = await start();
    for (const quota of [{ eventsPerSecond: -1n }, { principal: 'a/#' }]) {
      await expect(admin.putQuota({ quota })).rejects.toMatchObject({ code: 'InvalidArgument' });
    }
  });

  it('refuses more schemas than members could be sent', async () => {
    const { admin } = await start();
    const jsonSchema = `{"description":"${'x'.repeat(65_000)}"}`;
    const put = async () => {
      for (let n = 0; n < 80; n++)
        await admin.putEventType({ eventType: { type: `t${n}`, jsonSchema } });
    };
    await expect(put()).rejects.toMatchObject({ code: 'ResourceExhausted' });
    expect((await admin.listEventTypes({})).eventTypes.length).toBeGreaterThan(60);
  });
});

describe('the quota of dead letters', () => {
  it('is kept for each tenant, shown, deleted and audited', async () => {
    const { admin } = await start();
    expect((await admin.getDeadLetterQuota({})).deadLetterQuota).toBeUndefined();
    const put = { bytesMax: 1_048_576n, retentionMs: 0n, alarmPercent: 60 };
    const { deadLetterQuota } = await admin.putDeadLetterQuota({ deadLetterQuota: put });
    expect(deadLetterQuota).toMatchObject({ tenant: 'default', ...put });
    expect(deadLetterQuota?.revision).toBeGreaterThan(0n);
    expect(await admin.getDeadLetterQuota({})).toMatchObject({ deadLetterQuota });
    const elsewhere = await admin.getDeadLetterQuota({ tenant: 'acme' });
    expect(elsewhere.deadLetterQuota).toBeUndefined();
    await admin.deleteDeadLetterQuota({});
    await expect(admin.deleteDeadLetterQuota({})).rejects.toMatchObject({ code: 'NotFound' });
    const { entries } = await admin.listAudit({});
    expect(entries.filter(({ outcome }) => outcome === 'done')).toMatchObject([
      { action: 'put-dead-letter-quota', resource: 'dead-letters' },
      { action: 'delete-dead-letter-quota', resource: 'dead-letters' },
    ]);
  });

  it.each([
    ['bytes_max', { bytesMax: 1024n }],
    ['bytes_max', { bytesMax: -1n }],
    ['retention_ms', { retentionMs: -1n }],
    ['alarm_percent', { alarmPercent: 101 }],
  ])('is refused with a %s out of bounds', async (field, deadLetterQuota) => {
    const { admin } = await start();
    await expect(admin.putDeadLetterQuota({ deadLetterQuota })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: `dead_letter_quota.${field}` },
    });
  });

  it('needs admin to change and inspect to read', async () => {
    const governance = await start();
    const reader = governance.as('reader');
    await expect(reader.getDeadLetterQuota({})).resolves.toBeDefined();
    await expect(reader.putDeadLetterQuota({ deadLetterQuota: {} })).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });
});

describe('callers', () => {
  it('need a credential; inspect to read; admin to change', async () => {
    const governance = await start();
    const put = (user: string) => governance.as(user).putTopic({ topic: { topicFilter: 'a' } });
    const list = (user: string) => governance.as(user).listTopics({});
    await expect(list('stranger')).rejects.toMatchObject({ code: 'Unauthenticated' });
    await expect(list('nobody')).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(list('reader')).resolves.toBeDefined();
    await expect(put('reader')).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(put('admin')).resolves.toBeDefined();
  });

  it('are audited: changes before the answer, refusals soon after', async () => {
    const governance = await start();
    const { admin } = governance;
    await admin.putTopic({ topic: { topicFilter: 'a' } });
    expect((await admin.listAudit({})).entries).toMatchObject([
      {
        sequence: 1n,
        tenant: 'default',
        principal: 'default/user:admin',
        action: 'put-topic',
        resource: 'a',
        outcome: 'done',
      },
    ]);
    for (let n = 0; n < 3; n++) {
      await governance
        .as('reader')
        .deleteTopic({ topicFilter: 'a' })
        .catch(() => undefined);
    }
    await eventually(async () => {
      const { entries } = await admin.listAudit({ afterSequence: 1n });
      expect(entries).toMatchObject([
        { principal: 'default/user:reader', action: 'delete-topic', outcome: 'refused', count: 3n },
      ]);
      expect(entries[0]?.reason).toBe('PERMISSION_DENIED');
    });
    expect(await admin.verifyAudit({})).toMatchObject({ intact: true, entries: 2n });
  });
});

describe('the bootstrap file', () => {
  const source = `
topics:
  - filter: 'orders/#'
    retention: 7d
    eventTypes: [order.created]
    durabilityMin: fsync
    eventBytesMax: 64KiB
eventTypes:
  - { type: order.created, schema: '{"required":["id"]}', enforcement: warn }
quotas:
  - { eventsPerSecond: 100, bytesPerSecond: 1MiB }
deadLetters:
  - { bytesMax: 2GiB, retention: 0ms }
`;

  it('fills an empty store and leaves a filled one alone', async () => {
    const dir = tempDir('governance-bootstrap');
    stops.push(() => dir.remove());
    const first = await start({ dir: dir.path, bootstrap: source });
    expect((await first.admin.listTopics({})).topics).toMatchObject([
      {
        topicFilter: 'orders/#',
        retentionMs: 604_800_000n,
        durabilityMin: DurabilityClass.FSYNC,
        eventBytesMax: 65_536n,
      },
    ]);
    expect((await first.admin.listEventTypes({})).eventTypes).toMatchObject([
      { enforcement: Enforcement.WARN },
    ]);
    expect((await first.admin.listQuotas({})).quotas).toMatchObject([
      { bytesPerSecond: 1_048_576n },
    ]);
    expect(await first.admin.getDeadLetterQuota({})).toMatchObject({
      deadLetterQuota: { bytesMax: 2_147_483_648n, retentionMs: 0n, alarmPercent: 0 },
    });
    await stops.pop()?.();

    const second = await start({ dir: dir.path, bootstrap: source.replace('7d', '8d') });
    const [kept] = (await second.admin.listTopics({})).topics;
    expect(kept?.retentionMs).toBe(604_800_000n);
    await stops.pop()?.();

    const bootstrap = source.replace('7d', '8d');
    const third = await start({ dir: dir.path, bootstrap, apply: 'always' });
    const [changed] = (await third.admin.listTopics({})).topics;
    expect(changed?.retentionMs).toBe(691_200_000n);
    expect((await third.admin.listQuotas({})).quotas[0]?.revision).toBeLessThan(
      changed?.revision ?? 0n,
    );
  });
});
