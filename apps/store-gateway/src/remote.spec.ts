import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig, section } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { EventStoreService } from '@eventmesh/proto-gen/store';
import { RpcServer, createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { openRemoteStore } from '@eventmesh/store-remote';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { createStoreGatewayApp, storeGatewaySettings, type StoreGatewayApp } from './index.ts';

const LOG = {
  name: 'log',
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 1000,
};
const bytes = (text: string) => Buffer.from(text);

describe('the client of a store-gateway', () => {
  let dir: TempDir;
  let app: StoreGatewayApp;
  let server: RpcServer;
  let transport: Transport;
  let store: EventStore;
  let metrics: Metrics;

  beforeEach(async () => {
    dir = tempDir('store-gateway');
    metrics = new Metrics();
    const value = { append: { windowRecords: 2 } };
    app = createStoreGatewayApp(loadConfig(section('', storeGatewaySettings), { value }), {
      store: await openEmbeddedStore({ dir: dir.path }),
      log: createLogger({ level: 'silent', service: 'test' }),
      metrics,
    });
    await app.start();
    server = new RpcServer(app.router, { port: 0 });
    await server.start();
    transport = grpcTransport({ address: server.address });
    store = await openRemoteStore({ transport });
    await store.ensureLog(LOG);
  });

  afterEach(async () => {
    await store.close();
    server.stop();
    await app.drain();
    dir.remove();
  });

  const append = (texts: string[]) =>
    store.append({
      log: 'log',
      partition: 0,
      records: texts.map((text) => ({ bytes: bytes(text), dedupKey: text })),
    });

  it('is told of the logs in pages', async () => {
    const names = ['b-log', 'a-log', 'c-log'];
    for (const name of names) await store.ensureLog({ ...LOG, name });
    const expected = [...names, LOG.name].sort();
    expect((await store.listLogs()).map(({ spec }) => spec.name)).toEqual(expected);
    const client = createClient(EventStoreService, transport);
    const { logs, nextPageToken: pageToken } = await client.listLogs({ pageSize: 3 });
    const rest = await client.listLogs({ pageSize: 3, pageToken });
    const told = [...logs, ...rest.logs].map(({ spec }) => spec?.name);
    expect([told, logs.length, rest.nextPageToken]).toEqual([expected, 3, '']);
    await expect(client.listLogs({ pageToken: 'b-log' })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'page_token' },
    });
  });

  it('goes on reading where it was when the gateway comes back', async () => {
    await append(['a', 'b']);
    const from = { kind: 'position', position: 1 } as const;
    const reading = store.read({ log: 'log', partition: 0, from })[Symbol.asyncIterator]();
    expect(await nextBatch(reading)).toEqual([1, 2]);
    const { port } = server;
    server.stop();
    server = new RpcServer(app.router, { port });
    await server.start();
    const more = nextBatch(reading);
    await retried(() => append(['c']));
    expect(await more).toEqual([3]);
    await reading.return?.();
  });

  it('ends a read at the gateway, too, when its consumer leaves it in the middle', async () => {
    await append(['a', 'b']);
    const open = async () =>
      Number(/^eventmesh_store_reads\S* (\d+)/m.exec(await metrics.render())?.[1]);
    const from = { kind: 'position', position: 1 } as const;
    for await (const item of store.read({ log: 'log', partition: 0, from })) {
      if (item.kind !== 'batch') continue;
      expect(await open()).toBe(1);
      break;
    }
    await eventually(async () => expect(await open()).toBe(0));
  });

  it('answers Unavailable for what is unanswered when the gateway goes, and works again later', async () => {
    const { port } = server;
    const pending = Promise.allSettled(Array.from({ length: 200 }, (_, n) => append([`x${n}`])));
    server.stop();
    for (const outcome of await pending) {
      if (outcome.status === 'rejected') expect(outcome.reason.code).toBe('Unavailable');
    }
    server = new RpcServer(app.router, { port });
    await server.start();
    const again = await retried(() => append(Array.from({ length: 200 }, (_, n) => `x${n}`)));
    // Whatever had been stored is found as a duplicate, where it lies.
    expect(new Set(again.positions)).toEqual(new Set(Array.from({ length: 200 }, (_, n) => n + 1)));
  });

  it('gathers small appends into frames and splits their receipts', async () => {
    const receipts = await Promise.all(
      Array.from({ length: 300 }, (_, n) => append([`r${n % 250}`, `s${n}`])),
    );
    const frames = /eventmesh_store_append_seconds_count (\d+)/.exec(await metrics.render())?.[1];
    expect(Number(frames)).toBeLessThan(100);
    for (const [n, { positions, duplicates }] of receipts.entries()) {
      const repeated = n >= 250;
      expect(duplicates).toEqual(repeated ? [0] : []);
      expect(positions[0]).toBe(
        repeated ? receipts[n - 250]?.positions[0] : (positions[1] ?? 0) - 1,
      );
    }
  });

  it('refuses a call without an opening request and a bad list of keys, by field', async () => {
    const client = createClient(EventStoreService, transport);
    async function* credit() {
      yield { message: { case: 'creditBytes' as const, value: 1n } };
    }
    const read = async () => {
      for await (const _item of client.read(credit())) throw new Error('nothing was due');
    };
    await expect(read()).rejects.toMatchObject({ details: { field: 'open' } });
    async function* keys() {
      yield { requestId: 7n, log: 'log', partition: 0, records: [], dedupKeys: ['a'] };
    }
    for await (const { requestId, outcome } of client.append(keys())) {
      expect(requestId).toBe(7n);
      expect(outcome).toMatchObject({ case: 'failure', value: { field: 'dedup_keys' } });
    }
  });
});

async function nextBatch(items: AsyncIterator<ReadItem>): Promise<readonly number[]> {
  for (;;) {
    const next = await items.next();
    if (next.done === true) return [];
    if (next.value.kind === 'batch') return next.value.positions;
  }
}

async function retried<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'Unavailable') throw error;
    }
  }
}
