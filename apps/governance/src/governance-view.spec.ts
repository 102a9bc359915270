import { afterEach, describe, expect, it } from '@jest/globals';
import { createGovernanceView, type GovernanceViewOptions } from '@eventmesh/clients';
import {
  EventType_Enforcement as Enforcement,
  PolicyService,
} from '@eventmesh/proto-gen/governance';
import { RpcServer, createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import { startGovernance } from '../test/governance-fixture.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A governance behind a real gRPC server that can be cut off, and a view that follows it. */
async function start(options: Partial<GovernanceViewOptions> = {}) {
  const governance = await startGovernance();
  stops.push(() => governance.stop());
  const server = new RpcServer(governance.app.router, { port: 0 });
  await server.start();
  stops.push(() => server.stop());
  const transport = grpcTransport({ address: server.address, timeoutMs: 1000 });
  stops.push(() => transport.close());
  const view = createGovernanceView(createClient(PolicyService, transport), {
    member: 'emesher-1',
    ...options,
  });
  stops.push(() => view.close(500));
  return { governance, admin: governance.as('admin'), server, view };
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe('createGovernanceView', () => {
  it('has nothing to say before the first policy', async () => {
    const transport = grpcTransport({ address: '127.0.0.1:1' });
    const view = createGovernanceView(createClient(PolicyService, transport), { member: 'm' });
    expect(() => view.topicPolicy('default', 'a')).toThrow(
      expect.objectContaining({ code: 'Unavailable' }),
    );
    expect(() => view.deadLetterQuota('default')).toThrow('has not been loaded');
    await view.close(0);
    await expect(view.ready).rejects.toMatchObject({ code: 'Cancelled' });
    transport.close();
  });

  it('sees each change within a second', async () => {
    const { admin, view } = await start();
    await view.ready;
    expect(view.topicPolicy('default', 'orders/eu')).toBeUndefined();
    const from = performance.now();
    await admin.putTopic({ topic: { topicFilter: 'orders/#', eventTypes: ['order.created'] } });
    await eventually(() =>
      expect(view.topicPolicy('default', 'orders/eu')?.topicFilter).toBe('orders/#'),
    );
    expect(performance.now() - from).toBeLessThan(1000);
    expect(view.topicPolicy('default', 'orders/eu')?.allowsType('other')).toBe(false);
    expect(view.topicPolicy('acme', 'orders/eu')).toBeUndefined();
    await admin.deleteTopic({ topicFilter: 'orders/#' });
    await eventually(() => expect(view.topicPolicy('default', 'orders/eu')).toBeUndefined());
  });

  it('follows the quotas of dead letters, by tenant', async () => {
    const { admin, view } = await start();
    await view.ready;
    expect(view.deadLetterQuota('default')).toBeUndefined();
    await admin.putDeadLetterQuota({ deadLetterQuota: { retentionMs: 0n } });
    await eventually(() => {
      expect(view.deadLetterQuota('default')).toMatchObject({ bytesMax: 0n, retentionMs: 0n });
    });
    expect(view.deadLetterQuota('acme')).toBeUndefined();
    await admin.deleteDeadLetterQuota({});
    await eventually(() => expect(view.deadLetterQuota('default')).toBeUndefined());
  });

  it('checks JSON against the schema of its type, and follows the schema', async () => {
    const { admin, view } = await start();
    await view.ready;
    await admin.putEventType({ eventType: { type: 't', jsonSchema: '{"required":["id"]}' } });
    const check = (data: Uint8Array, contentType: string | undefined = 'application/json') =>
      view.checkSchema('default', 't', contentType, data);
    await eventually(() => expect(check(json({})).kind).toBe('refuse'));
    expect(check(json({ id: 1 }))).toEqual({ kind: 'ok' });
    expect(check(json({}))).toMatchObject({ message: "data must have required property 'id'" });
    expect(check(json({}), 'text/plain').kind).toBe('ok');
    expect(check(json({}), 'application/x+json; charset=utf-8').kind).toBe('refuse');
    expect(check(Uint8Array.of(0xff)).kind).toBe('refuse');
    expect(check(new Uint8Array(300_000)).kind).toBe('refuse');
    expect(view.checkSchema('default', 'other', 'application/json', json({})).kind).toBe('ok');
    expect(view.checkSchema('acme', 't', 'application/json', json({})).kind).toBe('ok');
    await admin.putEventType({
      eventType: { type: 't', jsonSchema: '{"required":["no"]}', enforcement: Enforcement.WARN },
    });
    await eventually(() => expect(check(json({ id: 1 })).kind).toBe('warn'));
  });

  it('keeps the last policy while governance is away, then catches up', async () => {
    const { admin, governance, server, view } = await start();
    await view.ready;
    await admin.putTopic({ topic: { topicFilter: 'a' } });
    await admin.putTopic({ topic: { topicFilter: 'gone' } });
    await eventually(() => expect(view.topicPolicy('default', 'gone')).toBeDefined());
    const { port } = server;
    server.stop();
    await eventually(() => expect(view.connected).toBe(false));
    expect(view.topicPolicy('default', 'a')?.topicFilter).toBe('a');
    await admin.deleteTopic({ topicFilter: 'gone' });
    await admin.putTopic({ topic: { topicFilter: 'b' } });

    const again = new RpcServer(governance.app.router, { port });
    await again.start();
    stops.push(() => again.stop());
    await eventually(() => expect(view.topicPolicy('default', 'b')).toBeDefined());
    expect(view.topicPolicy('default', 'gone')).toBeUndefined();
    expect(view.topicPolicy('default', 'a')).toBeDefined();
    expect(view.connected).toBe(true);
  });

  it('holds the audit while governance is away, and gives all of it afterwards', async () => {
    const { admin, governance, server, view } = await start();
    await view.ready;
    const { port } = server;
    server.stop();
    for (let n = 0; n < 700; n++) {
      view.audit({ tenant: 'default', action: 'publish', resource: `t/${n}`, outcome: 'refused' });
    }
    for (let n = 0; n < 50; n++) {
      view.audit({ tenant: 'default', action: 'publish', resource: 'same', outcome: 'refused' });
    }
    await expect(view.auditSpool.flush()).rejects.toMatchObject({ code: 'Unavailable' });
    expect(view.auditSpool.size).toBe(701);
    const again = new RpcServer(governance.app.router, { port });
    await again.start();
    stops.push(() => again.stop());
    await eventually(() => view.auditSpool.flush());
    const { entries } = await admin.listAudit({ pageSize: 1000 });
    expect(entries).toHaveLength(701);
    expect(entries.at(-1)).toMatchObject({ resource: 'same', count: 50n, member: 'emesher-1' });
    expect(await admin.verifyAudit({})).toMatchObject({ intact: true });
  });

  it('drops audit entries beyond its bound, and has their number audited', async () => {
    const { admin, view } = await start({ auditEntriesMax: 10 });
    await view.ready;
    for (let n = 0; n < 25; n++) {
      view.audit({ tenant: '', action: 'publish', resource: `t/${n}`, outcome: 'refused' });
    }
    expect(view.auditSpool.dropped).toBe(15);
    await view.auditSpool.flush();
    expect(await admin.verifyAudit({})).toMatchObject({ intact: true, entries: 11n });
  });
});
