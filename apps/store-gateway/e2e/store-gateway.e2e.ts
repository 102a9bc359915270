import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { grpcTransport } from '@eventmesh/rpc';
import { openRemoteStore } from '@eventmesh/store-remote';
import { eventually, startNats, tempDir, type NatsServer, type TempDir } from '@eventmesh/testing';
import { startGateway, type GatewayProcess } from './gateway-process.ts';
import { LOG, LOG_SPEC, record, startLoad, storedIds, type Load } from './load.ts';

const TOKEN = 'a-token-of-the-site';
const connect = (gateway: GatewayProcess, token = TOKEN) =>
  openRemoteStore({
    transport: grpcTransport({
      address: gateway.grpc,
      metadata: () => ({ authorization: `Bearer ${token}` }),
    }),
    appendTimeoutMs: 5000,
  });

const portOf = (address: string): number => Number(address.split(':').at(-1));
const grows = async (load: Load, by = 200): Promise<void> => {
  const before = load.acked.size;
  await eventually(() => expect(load.acked.size).toBeGreaterThan(before + by), {
    timeoutMs: 20_000,
  });
};

/** Every acknowledged record is where its receipt said, and nothing is there twice. */
async function expectComplete(load: Load, ids: readonly string[]): Promise<void> {
  expect(new Set(ids).size).toBe(ids.length);
  const wrong = [...load.acked].filter(([id, position]) => ids[position - 1] !== id);
  expect(wrong).toEqual([]);
  const codes = new Set(load.failures.map(({ code }) => code));
  for (const code of codes) expect(['Unavailable', 'Aborted']).toContain(code);
}

describe('store-gateway on nats-server', () => {
  let dir: TempDir;
  let nats: NatsServer;
  beforeAll(async () => {
    dir = tempDir('store-gateway');
    nats = await startNats({ dir: join(dir.path, 'nats') });
  });
  afterAll(async () => {
    await nats.stop();
    dir.remove();
  });

  const config = (more: object = {}) => ({
    grpc: { port: 0 },
    serviceToken: { value: TOKEN },
    store: { kind: 'jetstream', servers: [nats.url], monitorUrls: [nats.monitorUrl] },
    ...more,
  });

  it('keeps all that was acknowledged when nats-server is killed under load', async () => {
    const gateway = await startGateway(dir.path, config());
    const store = await connect(gateway);
    await store.ensureLog(LOG_SPEC);
    const load = startLoad(store);
    await grows(load);
    await nats.kill();
    await eventually(() => expect(load.failures.length).toBeGreaterThan(0));
    await nats.restart();
    await grows(load);
    await load.stop();
    await expectComplete(load, await storedIds(store));
    await store.trim(LOG, 0, 1_000_000_000);
    await store.close();
    expect(await gateway.stop()).toBe(0);
  });

  it('keeps all that was acknowledged when it is itself killed under load', async () => {
    let gateway = await startGateway(dir.path, config());
    const grpc = { port: portOf(gateway.grpc) };
    const store = await connect(gateway);
    await store.ensureLog(LOG_SPEC);
    const first = (await store.logInfo(LOG))?.partitions[0]?.first ?? 0;
    const load = startLoad(store);
    await grows(load);
    await gateway.stop('SIGKILL');
    await eventually(() => expect(load.failures.length).toBeGreaterThan(0));
    gateway = await startGateway(dir.path, config({ grpc }));
    await grows(load);
    await load.stop();
    const missing = await missingFrom(store, load, first);
    expect(missing).toEqual([]);
    await store.close();
    expect(await gateway.stop()).toBe(0);
  });

  it('settles what is in flight on SIGTERM and ends with 0', async () => {
    const gateway = await startGateway(dir.path, config());
    const store = await connect(gateway);
    const first = ((await store.logInfo(LOG))?.partitions[0]?.last ?? 0) + 1;
    const load = startLoad(store);
    await grows(load, 50);
    expect(await gateway.stop('SIGTERM')).toBe(0);
    await load.stop();
    await store.close();
    const again = await startGateway(dir.path, config());
    const reader = await connect(again);
    expect(await missingFrom(reader, load, first)).toEqual([]);
    await reader.close();
    await again.stop();
  });

  it('asks for the service token', async () => {
    const gateway = await startGateway(dir.path, config());
    await expect(connect(gateway, 'another')).rejects.toMatchObject({ code: 'Unauthenticated' });
    await gateway.stop();
  });

  it('refuses durable work when strict and sync_interval cannot be verified, and says why', async () => {
    const store = { kind: 'jetstream', servers: [nats.url] };
    const gateway = await startGateway(dir.path, config({ store }));
    const client = await connect(gateway);
    const profile = await client.profile();
    expect(profile.durability).toBe('page-cache');
    expect(profile.warnings.join()).toContain('sync_interval');
    const weak = { code: 'FailedPrecondition', message: expect.stringContaining('page-cache') };
    await expect(client.ensureLog(LOG_SPEC)).rejects.toMatchObject(weak);
    const records = [{ bytes: record('1-1-1') }];
    await expect(client.append({ log: LOG, partition: 0, records })).rejects.toMatchObject(weak);
    const metrics = await (await fetch(`http://${gateway.admin}/metrics`)).text();
    expect(metrics).toMatch(
      /eventmesh_store_durability_info\{store="jetstream",durability="page-cache",required="fsync"\} 1/,
    );
    expect(metrics).toMatch(/eventmesh_store_durability_weak 1/);
    expect(gateway.logs.map(({ msg }) => msg)).toContain('the store is weaker than required');
    await client.close();
    await gateway.stop();
  });

  it('does durable work on a weak store when not strict, with the class in each receipt', async () => {
    const store = { kind: 'jetstream', servers: [nats.url] };
    const gateway = await startGateway(dir.path, config({ store, durability: { strict: false } }));
    const client = await connect(gateway);
    await client.ensureLog(LOG_SPEC);
    const records = [{ bytes: record('2-2-2') }];
    const receipt = await client.append({ log: LOG, partition: 0, records });
    expect(receipt.durability).toBe('page-cache');
    await client.close();
    await gateway.stop();
  });
});

describe('store-gateway on its embedded store', () => {
  it('keeps all that was acknowledged when it is killed under load', async () => {
    const dir = tempDir('store-gateway');
    const store = { kind: 'embedded', dir: join(dir.path, 'store') };
    let gateway = await startGateway(dir.path, { grpc: { port: 0 }, store });
    const grpc = { port: portOf(gateway.grpc) };
    const client = await connect(gateway);
    await client.ensureLog(LOG_SPEC);
    const load = startLoad(client);
    await grows(load, 1000);
    await gateway.stop('SIGKILL');
    await eventually(() => expect(load.failures.length).toBeGreaterThan(0));
    gateway = await startGateway(dir.path, { grpc, store });
    await grows(load, 1000);
    await load.stop();
    await expectComplete(load, await storedIds(client));
    await client.close();
    expect(await gateway.stop()).toBe(0);
    dir.remove();
  });

  it('prints every problem of a bad configuration and ends with 64', () => {
    const main = join(import.meta.dirname, '../src/main.ts');
    const args = ['--set', 'store.kind=floppy', '--set', 'nope=1'];
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
    expect(status).toBe(64);
    expect(stderr).toContain('store.kind');
    expect(stderr).toContain('nope');
  });
});

/** Acknowledged records that are not where their receipts said, from a position on. */
async function missingFrom(
  store: Parameters<typeof storedIds>[0],
  load: Load,
  first: number,
): Promise<string[]> {
  const at = new Map<number, string>();
  const from = { kind: 'position', position: Math.max(1, first) } as const;
  for await (const item of store.read({ log: LOG, partition: 0, from, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    for (const [index, position] of item.positions.entries()) {
      const text = Buffer.from(item.records[index] ?? []).toString('latin1');
      at.set(position, /\d+-\d+-\d+/.exec(text)?.[0] ?? '?');
    }
  }
  return [...load.acked].filter(([id, p]) => p >= first && at.get(p) !== id).map(([id]) => id);
}
