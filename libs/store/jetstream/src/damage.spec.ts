import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { eventually, startNats, tempDir, type NatsServer, type TempDir } from '@eventmesh/testing';
import { connect } from '@nats-io/transport-node';
import { Kvm } from '@nats-io/kv';
import { openJetStreamStore } from './index.ts';

const COUNT = 20;
const LOG = {
  name: 'log',
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 1000,
};
const text = (n: number) => `record-${String(n).padStart(3, '0')};`;

/** Records of odd and even numbers have different topics. */
function record(n: number): Buffer {
  const head = {
    tenant: 'default',
    topic: n % 2 === 0 ? 'even/ones' : 'odd/ones',
    principal: 'alice',
    originSite: 'west',
    destinations: [],
    ingressTimeUs: 1_700_000_000_000_000,
    hops: [],
  };
  const data = { kind: 'binary', bytes: Buffer.alloc(500, text(n)) } as const;
  return encodeRecord(head, encodeEvent({ id: String(n), source: '/t', type: 't', data }));
}

describe('damage under the JetStream store', () => {
  let dir: TempDir;
  let nats: NatsServer;
  let store: EventStore;

  beforeEach(async () => {
    dir = tempDir('store-damage');
    nats = await startNats({ dir: dir.path });
    store = await open();
    await store.ensureLog(LOG);
    for (let n = 1; n <= COUNT; n++) await append(n);
    await store.commitCursors([
      { id: CURSOR, cursor: { floor: 12, settled: [], epoch: 1, state: new Uint8Array(0) } },
    ]);
  });
  afterEach(async () => {
    await store.close();
    await nats.stop();
    dir.remove();
  });

  const CURSOR = { log: 'log', partition: 0, subscription: 'billing' };
  const open = () =>
    openJetStreamStore({
      servers: [nats.url],
      monitorUrls: [nats.monitorUrl],
      ackTimeoutMs: 2000,
    });
  const append = (n: number) =>
    store.append({
      log: 'log',
      partition: 0,
      records: [{ bytes: record(n), dedupKey: `key-${n}` }],
    });
  const folder = (stream: string) => join(dir.path, 'data/jetstream/$G/streams', stream, 'msgs');

  /** Ends the server, changes the block file of a stream, starts it again. */
  const damage = async (
    stream: string,
    end: 'kill' | 'stop',
    change: (bytes: Buffer) => Buffer,
  ): Promise<void> => {
    await (end === 'kill' ? nats.kill() : nats.stop());
    const blocks = readdirSync(folder(stream)).filter((name) => name.endsWith('.blk'));
    for (const block of blocks) {
      const file = join(folder(stream), block);
      writeFileSync(file, change(readFileSync(file)));
    }
    await nats.restart();
  };
  const flip = (what: string) => (bytes: Buffer) => {
    const at = bytes.indexOf(what);
    expect(at).toBeGreaterThan(0);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const STREAM = 'eventmesh-log-0';
  const STATE = 'KV_eventmesh-state';

  /** What a reader gets until it ends. */
  const read = async (topicFilters: string[] = [], position = 1) => {
    const positions: number[] = [];
    const from = { kind: 'position', position } as const;
    try {
      const options = { log: 'log', partition: 0, from, topicFilters, stopAtEnd: true };
      for await (const item of store.read(options)) {
        if (item.kind === 'gap') throw new Error(`a gap from ${item.from} to ${item.to}`);
        if (item.kind === 'batch') positions.push(...item.positions);
      }
      return { positions, error: undefined };
    } catch (error) {
      return { positions, error: MeshError.from(error) };
    }
  };

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['a record with a flipped bit', flip(text(11))],
    ['a file without its end', (bytes) => bytes.subarray(0, Math.floor(bytes.length * 0.6))],
    ['an empty file', () => Buffer.alloc(0)],
  ])('refuses to start when the server has cut the stream off at %s', async (_what, change) => {
    await store.close();
    await damage(STREAM, 'kill', change);
    await expect(open()).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringMatching(/log "log", partition 0: 20 was acknowledged.*log\/log/s),
      details: { reason: 'RECORDS_LOST' },
    });
    // What there is stays as it is, until somebody decides.
    await expect(open()).rejects.toMatchObject({ code: 'DataLoss' });
  });

  it('refuses to start when a stream is gone, and does not make it anew', async () => {
    await store.close();
    await nats.kill();
    rmSync(join(folder(STREAM), '..'), { recursive: true });
    await nats.restart();
    await expect(open()).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('is gone'),
    });
  });

  it('starts again when the operator has accepted the loss', async () => {
    await store.close();
    await damage(STREAM, 'kill', flip(text(11)));
    await expect(open()).rejects.toMatchObject({ code: 'DataLoss' });
    const nc = await connect({ servers: nats.url });
    await (await new Kvm(nc).open('eventmesh-marks')).delete('log/log');
    await nc.close();
    store = await open();
    expect((await append(21)).positions).toEqual([11]);
  });

  it('misses nothing after a crash when the last that was written of its state was deleted', async () => {
    const last = { ...CURSOR, subscription: 'last' };
    const cursor = { floor: 3, settled: [], epoch: 1, state: new Uint8Array(0) };
    for (const id of [last, CURSOR, last]) {
      await store.commitCursors([{ id, cursor }]);
      await store.deleteCursor(id);
    }
    await store.close();
    await nats.kill();
    await nats.restart();
    store = await open();
    expect(await store.listCursors('log')).toEqual([]);
    expect(await store.loadCursor(last)).toBeUndefined();
    await store.commitCursors([{ id: last, cursor }]);
    expect(await store.listCursors('log')).toEqual([last]);
  });

  it('starts without a log whose spec the operator has deleted', async () => {
    await store.close();
    const nc = await connect({ servers: nats.url });
    await (await new Kvm(nc).open('eventmesh-state')).delete('log/log');
    await nc.close();
    store = await open();
    expect(await store.listLogs()).toEqual([]);
  });

  it('takes no more records when the server comes back without some, while it runs', async () => {
    await damage(STREAM, 'kill', flip(text(11)));
    await eventually(() => expect(append(21)).rejects.toMatchObject({ code: 'DataLoss' }));
    await expect(append(22)).rejects.toMatchObject({ details: { reason: 'RECORDS_LOST' } });
    expect((await read()).error?.code).toBe('DataLoss');
  });

  it.each([
    ['in the middle', 11],
    ['at the end', COUNT],
  ])(
    'answers DataLoss for a record %s that the server passes over',
    async (_where, bad) => {
      // Ended in order, the server trusts its index and finds the damage only when it reads.
      await damage(STREAM, 'stop', flip(text(bad)));
      await eventually(() => store.ping());
      const all = await read();
      expect(all.error).toMatchObject({
        code: 'DataLoss',
        details: { facts: { log: 'log', partition: '0', from: String(bad), to: String(bad) } },
      });
      expect(all.positions).toEqual(Array.from({ length: bad - 1 }, (_each, i) => i + 1));
      const matching = bad % 2 === 0 ? 'even/#' : 'odd/#';
      expect((await read([matching])).error?.details.facts?.['from']).toBe(String(bad));
      const others = await read([bad % 2 === 0 ? 'odd/#' : 'even/#']);
      expect([others.error, others.positions.length]).toEqual([undefined, COUNT / 2]);
      if (bad < COUNT) expect((await read([], bad + 1)).error).toBeUndefined();
      // The duplicate window cannot be had without it either.
      await store.close();
      store = await open();
      await expect(append(21)).rejects.toMatchObject({ code: 'DataLoss' });
    },
    60_000,
  );

  it('answers DataLoss for a damaged cursor, and does not take it for a new subscription', async () => {
    await damage(STATE, 'stop', flip('cursor/log/0'));
    await eventually(() => store.ping());
    await expect(store.loadCursor(CURSOR)).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('cursor/log/0'),
    });
  });

  it('refuses to start when the server has cut off the state of the store', async () => {
    await store.close();
    await damage(STATE, 'kill', (bytes) => bytes.subarray(0, bytes.length - 10));
    await expect(open()).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('the state of the store'),
    });
  });
});
