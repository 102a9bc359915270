import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Backoff, type KvWatchEvent } from '@eventmesh/kv-api';
import { eventually, startEtcd, startProxy, tempDir, type RunningServer } from '@eventmesh/testing';
import { openEtcdKv, type EtcdKv } from './kv.ts';
import type { EtcdKvOptions } from './options.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('the etcd Kv', () => {
  const dir = tempDir('etcd');
  let server: RunningServer;
  beforeAll(async () => {
    server = await startEtcd({ dir: dir.path });
  });
  afterAll(async () => {
    await server.stop();
    dir.remove();
  });
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const open = (options: Partial<EtcdKvOptions> = {}) => {
    const backoff = () => new Backoff({ maxMs: 200 });
    const kv = openEtcdKv({ endpoints: [server.url], backoff, ...options });
    closing.push(() => kv.close());
    return kv;
  };
  const startAnother = async () => {
    const own = tempDir('etcd');
    closing.push(own.remove);
    const other = await startEtcd({ dir: own.path });
    closing.push(() => other.stop());
    return { other, data: join(own.path, 'data') };
  };
  const record = (kv: EtcdKv, prefix: string, fromRevision: number) => {
    const events: KvWatchEvent[] = [];
    const states: string[] = [];
    const onConnection = (state: string) => states.push(state);
    const ended = (async () => {
      for await (const event of kv.watch(prefix, { fromRevision, onConnection }))
        events.push(event);
    })();
    return { events, states, ended };
  };

  it('goes on after the server was killed and started again', async () => {
    const kv = open({ callTimeoutMs: 1000 });
    const { revision } = await kv.put('killed/a', bytes('1'));
    const { events, states } = record(kv, 'killed/', revision);
    await eventually(() => expect(events).toHaveLength(1));
    await server.kill();
    await eventually(() => expect(states.at(-1)).toBe('disconnected'));
    await expect(kv.put('killed/b', bytes('x'))).rejects.toMatchObject({ code: 'Unavailable' });
    await server.restart();
    const again = await eventually(() => kv.put('killed/c', bytes('3')));
    await eventually(() => expect(events.at(-1)?.revision).toBe(again.revision));
    expect(states.at(-1)).toBe('connected');
  });

  it('notices a connection that stays open and says nothing', async () => {
    const proxy = await startProxy(server);
    closing.push(() => proxy.close());
    const kv = open({
      endpoints: [`http://127.0.0.1:${proxy.port}`],
      callTimeoutMs: 500,
      probeIntervalMs: 5000,
    });
    const { revision } = await kv.put('stalled/a', bytes('1'));
    const { events, states } = record(kv, 'stalled/', revision);
    await eventually(() => expect(events).toHaveLength(1));
    proxy.stallOneWay('to-client');
    await expect(kv.get('stalled/a')).rejects.toMatchObject({ code: 'DeadlineExceeded' });
    await eventually(() => expect(states.at(-1)).toBe('disconnected'), { timeoutMs: 15_000 });
    proxy.heal();
    const after = await eventually(() => kv.put('stalled/a', bytes('2')));
    await eventually(() => expect(events.at(-1)?.revision).toBe(after.revision));
  });

  it('answers a page of large values in as many pages as it takes', async () => {
    const kv = open();
    const value = new Uint8Array(1_000_000);
    for (let i = 0; i < 20; i += 1) await kv.put(`large/${String(i).padStart(2, '0')}`, value);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await kv.range('large/', after === undefined ? {} : { after });
      seen.push(...page.entries.map(({ key }) => key));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(
      Array.from({ length: 20 }, (_, i) => `large/${String(i).padStart(2, '0')}`),
    );
    const first = await kv.get('large/00');
    const { events } = record(kv, 'large/', first?.modRevision ?? 0);
    await eventually(() => expect(events).toHaveLength(20));
  });

  it('tells a watch to reload when the server came back with older data', async () => {
    const { other, data } = await startAnother();
    const kv = open({ endpoints: [other.url], callTimeoutMs: 1000 });
    for (let i = 0; i < 5; i += 1) await kv.put('k', bytes(`${i}`));
    const { events, ended } = record(kv, 'k', 2);
    await eventually(() => expect(events).toHaveLength(5));
    await other.kill();
    rmSync(data, { recursive: true });
    await other.restart();
    await ended;
    expect(events.at(-1)?.type).toBe('compacted');
  });

  it('signs in, and tells refusals of keys and of passwords apart', async () => {
    const { other: guarded } = await startAnother();
    // Started on port 0, etcd's own HTTP gateway does not know the port; from now on it is fixed.
    await guarded.restart();
    await switchOnAuthentication(guarded.url);
    const sign = (username: string, password: string) =>
      open({ endpoints: [guarded.url], auth: { username, password } });
    const registry = sign('registry', 'pw');
    await registry.put('registry/a', bytes('x'));
    const { events } = record(registry, 'registry/', 1);
    await eventually(() => expect(events).toHaveLength(1));
    await expect(registry.put('acl/a', bytes('x'))).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    const watch = record(registry, 'acl/', 1);
    await expect(watch.ended).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(sign('registry', 'wrong').get('registry/a')).rejects.toMatchObject({
      code: 'Unauthenticated',
    });
  });

  it.each<[Partial<EtcdKvOptions>, string]>([
    [{ endpoints: [] }, 'endpoints'],
    [{ endpoints: ['localhost:2379'] }, 'endpoints[0]'],
    [{ endpoints: ['http://a:1', 'https://b:1'] }, 'endpoints'],
    [{ tls: { ca: 'x' } }, 'tls'],
    [{ endpoints: ['https://a:1'], tls: { ca: 'x', key: 'k' } }, 'tls'],
    [{ callTimeoutMs: 0 }, 'callTimeoutMs'],
    [{ probeIntervalMs: 1000 }, 'probeIntervalMs'],
  ])('refuses the options %j', (options, field) => {
    expect(() => openEtcdKv({ endpoints: ['http://a:1'], ...options })).toThrow(
      expect.objectContaining({ code: 'InvalidArgument', details: { field } }),
    );
  });
});

/** Users `root` and `registry`, the latter with rights on `registry/` alone. */
async function switchOnAuthentication(url: string): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const permission = { permType: 2, key: base64('registry/'), range_end: base64('registry0') };
  const steps: [string, object][] = [
    ['user/add', { name: 'root', password: 'root' }],
    ['user/grant', { user: 'root', role: 'root' }],
    ['user/add', { name: 'registry', password: 'pw' }],
    ['role/add', { name: 'registry' }],
    ['role/grant', { name: 'registry', perm: permission }],
    ['user/grant', { user: 'registry', role: 'registry' }],
    ['enable', {}],
  ];
  for (const [path, body] of [['role/add', { name: 'root' }] as [string, object], ...steps]) {
    const answer = await fetch(`${url}/v3/auth/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  }
}
