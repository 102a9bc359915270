import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig, section } from '@eventmesh/config';
import { EventStoreService } from '@eventmesh/proto-gen/store';
import { AsyncQueue, RpcServer, createClient, grpcTransport, localTransport } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { openRemoteStore } from '@eventmesh/store-remote';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { createStoreGatewayApp, storeGatewaySettings, type StoreGatewayApp } from './index.ts';

const LOG = { partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
const KIB = 1024;

/** A store whose appends wait until they are let go. */
function held(store: EventStore) {
  const gate = Promise.withResolvers<void>();
  const append: EventStore['append'] = async (batch) => {
    await gate.promise;
    return store.append(batch);
  };
  const handler: ProxyHandler<EventStore> = {
    get(target, name) {
      if (name === 'append') return append;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  };
  return { store: new Proxy(store, handler), letGo: () => gate.resolve() };
}

describe('the queues between an emesher and its store', () => {
  let dir: TempDir;
  let app: StoreGatewayApp;
  let server: RpcServer;
  let metrics: Metrics;
  let gate: ReturnType<typeof held>;

  beforeEach(async () => {
    dir = tempDir('store-gateway-queues');
    metrics = new Metrics();
    gate = held(await openEmbeddedStore({ dir: dir.path }));
    const value = {
      append: { windowRecords: 3, windowBytes: '1MiB' },
      read: { creditBytesMax: '256KiB' },
    };
    app = createStoreGatewayApp(loadConfig(section('', storeGatewaySettings), { value }), {
      store: gate.store,
      log: createLogger({ level: 'silent', service: 'test' }),
      metrics,
    });
    await app.start();
    server = new RpcServer(app.router, { port: 0 });
    await server.start();
  });

  afterEach(async () => {
    gate.letGo();
    server.stop();
    await app.drain();
    dir.remove();
  });

  const open = (limits: { pendingBytesMax?: number; framesInFlightMax?: number }) =>
    openRemoteStore({ transport: grpcTransport({ address: server.address }), ...limits });

  const record = (bytes: number) => ({ bytes: Buffer.alloc(bytes) });

  it('refuse an append beyond the bytes that may wait, and take it when there is room', async () => {
    const store = await open({ pendingBytesMax: 100 * KIB, framesInFlightMax: 2 });
    await store.ensureLog({ name: 'log', ...LOG });
    const append = (bytes: number) =>
      store.append({ log: 'log', partition: 0, records: [record(bytes)] });
    const first = [append(40 * KIB), append(40 * KIB)];
    await expect(append(40 * KIB)).rejects.toMatchObject({
      code: 'ResourceExhausted',
      details: { reason: 'STORE_BUSY' },
    });
    expect(store.queues()).toMatchObject({ pendingBytes: 80 * KIB, inFlight: 2 });
    gate.letGo();
    await Promise.all(first);
    expect(store.queues()).toEqual({ pendingBytes: 0, inFlight: 0, waitingCursors: 0 });
    await append(90 * KIB);
    await store.close();
  });

  it('give the room back when the stream breaks', async () => {
    const store = await open({ pendingBytesMax: 100 * KIB });
    await store.ensureLog({ name: 'log', ...LOG });
    const lost = store.append({ log: 'log', partition: 0, records: [record(90 * KIB)] });
    server.stop();
    await expect(lost).rejects.toMatchObject({ code: 'Unavailable' });
    expect(store.queues()).toMatchObject({ pendingBytes: 0, inFlight: 0 });
    await store.close();
  });

  it('have a window for requests whose receipts the caller has not read', async () => {
    const client = createClient(EventStoreService, localTransport(app.router));
    await client.ensureLog({ spec: { name: 'log', partitions: 1 } as never });
    gate.letGo();
    const taken: bigint[] = [];
    async function* requests() {
      for (let requestId = 1n; requestId <= 10n; requestId++) {
        taken.push(requestId);
        yield { requestId, log: 'log', partition: 0, records: [Buffer.alloc(KIB)] };
      }
    }
    const answers = client.append(requests())[Symbol.asyncIterator]();
    expect((await answers.next()).value?.requestId).toBe(1n);
    await eventually(async () => {
      expect(taken.length).toBeGreaterThanOrEqual(3);
      expect(await metrics.value('eventmesh_store_append_window_bytes')).toBe(3 * KIB);
      expect(await metrics.value('eventmesh_store_appends_waiting')).toBe(3);
    });
    // All of it is stored by now, and still no more is read than the window and the one in hand.
    expect(taken.length).toBeLessThanOrEqual(4);
    let last = 0n;
    for (let next = await answers.next(); next.done !== true; next = await answers.next()) {
      last = next.value.requestId;
    }
    expect(last).toBe(10n);
    expect(await metrics.value('eventmesh_store_append_window_bytes')).toBe(0);
  });

  it('send a reader no more than the bound, whatever credit it gives', async () => {
    gate.letGo();
    const store = await open({});
    await store.ensureLog({ name: 'log', ...LOG });
    for (let n = 0; n < 16; n++) {
      await store.append({ log: 'log', partition: 0, records: [record(64 * KIB)] });
    }
    await store.close();
    const client = createClient(EventStoreService, localTransport(app.router));
    const requests = new AsyncQueue<never>();
    const value = { log: 'log', partition: 0, creditBytes: 1n << 40n };
    const from = { case: 'position', value: 1n };
    requests.push({ message: { case: 'open', value: { ...value, from } } } as never);
    const items = client.read(requests)[Symbol.asyncIterator]();
    let bytes = 0;
    void (async () => {
      for (let next = await items.next(); next.done !== true; next = await items.next()) {
        const { message } = next.value;
        if (message.case !== 'batch') continue;
        for (const { length } of message.value.records) bytes += length;
      }
    })();
    await eventually(async () => {
      expect(await metrics.value('eventmesh_store_unread_bytes')).toBe(256 * KIB);
    });
    expect(bytes).toBe(256 * KIB);
    requests.push({ message: { case: 'creditBytes', value: BigInt(64 * KIB) } } as never);
    await eventually(() => {
      expect(bytes).toBe(320 * KIB);
    });
    requests.end();
  });
});
