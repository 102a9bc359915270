import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MeshError } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import { eventually, startNats, tempDir, type NatsServer, type TempDir } from '@eventmesh/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openJetStreamStore } from './index.ts';

const spec = (name: string) => ({
  name,
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 10_000,
});

const record = (id: string, topic = 'orders/eu') =>
  encodeRecord(
    {
      tenant: 'default',
      topic,
      principal: 'alice',
      originSite: 'west',
      destinations: [],
      ingressTimeUs: 1_700_000_000_000_000,
      hops: [],
    },
    encodeEvent({
      id,
      source: '/test',
      type: 'test',
      data: { kind: 'binary', bytes: Buffer.from(`data of ${id}`) },
    }),
  );

describe('the JetStream store', () => {
  let dir: TempDir;
  let server: NatsServer;
  beforeAll(async () => {
    dir = tempDir('store-jetstream');
    server = await startNats({ dir: dir.path });
  });
  afterAll(async () => {
    await server.stop();
    dir.remove();
  });

  const open = () =>
    openJetStreamStore({
      servers: [server.url],
      monitorUrls: [server.monitorUrl],
      ackTimeoutMs: 2000,
    });
  const append = (store: EventStore, log: string, ids: string[]) =>
    store.append({
      log,
      partition: 0,
      records: ids.map((id) => ({ bytes: record(id), dedupKey: id })),
    });

  it('refuses appends beyond the bytes that may wait, keeps to its commits in flight, and gives the room back', async () => {
    const store = await openJetStreamStore({
      servers: [server.url],
      pendingBytesMax: 64 * 1024,
      groupsInFlightMax: 2,
      singlesInFlightMax: 0,
    });
    await store.ensureLog(spec('bounded'));
    let inFlight = 0;
    const appends = Array.from({ length: 200 }, (_, n) =>
      append(store, 'bounded', [`b${n}`, `c${n}`]).finally(() => {
        inFlight = Math.max(inFlight, store.queues().inFlight ?? 0);
      }),
    );
    const outcomes = await Promise.allSettled(appends);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(200);
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: { details: { reason: 'STORE_BUSY' } } });
    }
    expect(inFlight).toBeLessThanOrEqual(2);
    expect(store.queues()).toMatchObject({ pendingBytes: 0, inFlight: 0 });
    await append(store, 'bounded', ['after']);
    await store.close();
  });

  it('keeps an event with more attributes than the header of a message takes, and those beside it', async () => {
    const store = await open();
    await store.ensureLog(spec('large'));
    const head = {
      ...{ tenant: 'default', topic: 'orders/eu', principal: 'alice', originSite: 'west' },
      ...{ destinations: [], ingressTimeUs: 1_700_000_000_000_000, hops: [] },
    };
    const large = encodeRecord(
      head,
      encodeEvent({
        id: 'large',
        source: '/test',
        type: 'test',
        attributes: [['note', { kind: 'string', value: 'x'.repeat(40_000) }]],
        data: { kind: 'binary', bytes: Buffer.from('data') },
      }),
    );
    const receipts = await Promise.all([
      append(store, 'large', ['before']),
      store.append({ log: 'large', partition: 0, records: [{ bytes: large, dedupKey: 'large' }] }),
      append(store, 'large', ['behind', 'last']),
    ]);
    expect(receipts.flatMap(({ positions }) => positions)).toEqual([1, 2, 3, 4]);
    const read: Buffer[] = [];
    const from = { kind: 'position', position: 1 } as const;
    const options = { log: 'large', partition: 0, from, topicFilters: ['orders/+'] };
    for await (const item of store.read({ ...options, stopAtEnd: true })) {
      if (item.kind === 'batch') read.push(...item.records.map((bytes) => Buffer.from(bytes)));
    }
    expect(read).toEqual([record('before'), large, record('behind'), record('last')]);
    await store.close();
  });

  it('finds the position of any time that a date can be', async () => {
    const store = await open();
    await store.ensureLog(spec('times'));
    await append(store, 'times', ['a', 'b']);
    const opened = async (timeMs: number) => {
      const from = { kind: 'time', timeMs } as const;
      for await (const item of store.read({ log: 'times', partition: 0, from, stopAtEnd: true })) {
        if (item.kind === 'opened') return item.position;
      }
      return undefined;
    };
    const found = await Promise.all([0, 10_000_000_000_000, 8_640_000_000_000_000].map(opened));
    await store.close();
    expect(found).toEqual([1, 3, 3]);
  });

  it('keeps events where any NATS client reads them', async () => {
    const store = await open();
    await store.ensureLog(spec('plain.log'));
    await append(store, 'plain.log', ['one', 'two']);
    const nc = await connect({ servers: server.url });
    const jsm = await jetstreamManager(nc);
    const message = await jsm.streams.getMessage('eventmesh-plain=log-0', { seq: 2 });
    expect(message?.subject).toBe('eventmesh.plain=log.0.default.orders.eu');
    expect(message?.header.get('ce-id')).toBe('two');
    expect(message?.string()).toBe('data of two');
    await nc.close();
    await store.close();
  });

  it('says fsync when every server syncs always, and how it was found out', async () => {
    const store = await open();
    expect(await store.profile()).toMatchObject({ durability: 'fsync', warnings: [] });
    await store.close();
  });

  it('says page-cache when the sync setting cannot be seen, and what to set', async () => {
    const store = await openJetStreamStore({ servers: [server.url] });
    const { durability, warnings } = await store.profile();
    expect(durability).toBe('page-cache');
    expect(warnings.join()).toContain('monitorUrls');
    await store.ensureLog(spec('unseen'));
    expect((await append(store, 'unseen', ['a'])).durability).toBe('page-cache');
    await store.close();
  });

  it('says page-cache for a server that syncs every two minutes', async () => {
    const lazyDir = tempDir('store-jetstream');
    const lazy = await startNats({ dir: lazyDir.path, syncInterval: '2m' });
    const store = await openJetStreamStore({
      servers: [lazy.url],
      monitorUrls: [lazy.monitorUrl],
    });
    const { durability, warnings } = await store.profile();
    expect(durability).toBe('page-cache');
    expect(warnings.join()).toContain('sync_interval: always');
    await store.close();
    await lazy.stop();
    lazyDir.remove();
  });

  it('fences a writer that another one has overtaken: nothing is stored, then it goes on', async () => {
    const [old, young] = [await open(), await open()];
    await old.ensureLog(spec('fenced'));
    await append(old, 'fenced', ['a']);
    expect((await append(young, 'fenced', ['b'])).positions).toEqual([2]);
    await expect(append(old, 'fenced', ['c'])).rejects.toMatchObject({
      code: 'Aborted',
      details: { reason: 'WRITER_CONFLICT' },
    });
    // Read back from the tail, it knows what the other one wrote.
    expect(await append(old, 'fenced', ['b', 'c'])).toMatchObject({
      positions: [2, 3],
      duplicates: [0],
    });
    await old.close();
    await young.close();
  });

  it('is no other writer to itself when the sequences of producers are asked for at its start', async () => {
    for (let round = 0; round < 8; round++) {
      const store = await open();
      await store.ensureLog(spec('asked'));
      const asked = Array.from({ length: 8 }, () => store.producerSequence('asked', 0, 'p'));
      for (let turn = 0; turn < round; turn++) await new Promise((done) => setImmediate(done));
      try {
        for (let n = 0; n < 20; n++) await append(store, 'asked', [`${round}-${n}`]);
        expect(await Promise.all(asked)).toEqual(Array.from(asked, () => 0));
      } finally {
        await store.close();
      }
    }
  });

  it('tells a filtered reader how far was looked when nothing matches', async () => {
    const store = await open();
    await store.ensureLog(spec('idle'));
    const from = { kind: 'position', position: 1 } as const;
    const reading = (async () => {
      const topicFilters = ['invoices/#'];
      for await (const item of store.read({ log: 'idle', partition: 0, from, topicFilters })) {
        if (item.kind === 'batch') return item;
      }
      return undefined;
    })();
    await append(store, 'idle', ['a', 'b', 'c']);
    expect(await reading).toMatchObject({ positions: [], upTo: 3 });
    await store.close();
  });

  it('has no consumer at the server any more when a reader is left in the middle', async () => {
    const store = await open();
    await store.ensureLog(spec('left'));
    await append(store, 'left', ['a', 'b']);
    const nc = await connect({ servers: server.url });
    const jsm = await jetstreamManager(nc);
    const consumers = async () => (await jsm.streams.info('eventmesh-left-0')).state.consumer_count;
    const from = { kind: 'position', position: 1 } as const;
    try {
      for (const topicFilters of [[], ['orders/#']]) {
        for await (const item of store.read({ log: 'left', partition: 0, from, topicFilters })) {
          if (item.kind !== 'batch') continue;
          expect(await consumers()).toBe(1);
          break;
        }
        await eventually(async () => expect(await consumers()).toBe(0));
      }
    } finally {
      await nc.close();
      await store.close();
    }
  });

  it('loses nothing acknowledged and invents nothing when nats-server is killed under load', async () => {
    const store = await open();
    await store.ensureLog(spec('killed'));
    const acked = new Map<string, number>();
    const failures: MeshError[] = [];
    let stop = false;
    let settled = false;
    const followed = follow(store, 'killed', () => settled && Math.max(...acked.values()));
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let n = 0; !stop;) {
        const ids = Array.from({ length: 5 }, (_each, i) => `${lane}-${n}-${i}`);
        try {
          const { positions } = await append(store, 'killed', ids);
          for (const [i, id] of ids.entries()) acked.set(id, positions[i] ?? 0);
          n++; // Only what was acknowledged is not sent again.
        } catch (error) {
          failures.push(error as MeshError);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    for (const _round of [1, 2]) {
      const before = acked.size;
      await until(() => acked.size > before + 300);
      await server.kill();
      await until(() => failures.length > 0);
      await server.restart();
      const after = acked.size;
      await until(() => acked.size > after + 300);
    }
    stop = true;
    await Promise.all(lanes);
    settled = true;
    for (const { code } of failures) expect(['Unavailable', 'Aborted']).toContain(code);
    const stored = await followed;
    expect(stored.positions).toEqual(stored.positions.map((_position, index) => index + 1));
    expect(new Set(stored.ids).size).toBe(stored.ids.length);
    for (const [id, position] of acked) expect(stored.ids[position - 1]).toBe(id);
    await store.close();
  });
});

/** Follows from the start until it has seen as much as is enough. */
async function follow(store: EventStore, log: string, enough: () => number | false) {
  const positions: number[] = [];
  const ids: string[] = [];
  const from = { kind: 'position', position: 1 } as const;
  const stopping = new AbortController();
  const timer = setInterval(() => {
    const wanted = enough();
    if (wanted !== false && positions.length >= wanted) stopping.abort();
  }, 20);
  const items: AsyncIterable<ReadItem> = store.read({
    log,
    partition: 0,
    from,
    signal: stopping.signal,
  });
  for await (const item of items) {
    if (item.kind === 'gap') throw new Error(`a gap from ${item.from} to ${item.to}`);
    if (item.kind !== 'batch') continue;
    positions.push(...item.positions);
    for (const bytes of item.records) {
      ids.push(/data of ([\d-]+)/.exec(Buffer.from(bytes).toString('latin1'))?.[1] ?? '?');
    }
  }
  clearInterval(timer);
  return { positions, ids };
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
}
