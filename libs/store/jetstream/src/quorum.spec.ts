import { afterEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { eventually, startNatsCluster, tempDir, type NatsServer } from '@eventmesh/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openJetStreamStore, type JetStreamStoreOptions } from './index.ts';

const LOG = 'events';
const STREAM = 'eventmesh-events-0';
const SPEC = {
  name: LOG,
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 100_000,
};
const TEST_MS = 90_000;
/** From the death of a server until appends are acknowledged again. */
const GAP_MS = 30_000;

const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function cluster(syncInterval: string | readonly string[] = 'always'): Promise<NatsServer[]> {
  const dir = tempDir('jetstream-quorum');
  closing.push(() => dir.remove());
  const servers = await startNatsCluster({ dir: dir.path, syncInterval });
  closing.push(() => Promise.all(servers.map((server) => server.stop())));
  return servers;
}

/** A store with the log, on servers that have just started. */
async function open(
  servers: readonly NatsServer[],
  more: Partial<JetStreamStoreOptions> = {},
): Promise<EventStore> {
  const store = await openJetStreamStore({
    servers: servers.map(({ url }) => url),
    monitorUrls: servers.map(({ monitorUrl }) => monitorUrl),
    replicas: 3,
    ackTimeoutMs: 2000,
    connectTimeoutMs: GAP_MS,
    ...more,
  });
  closing.push(() => store.close());
  await store.ensureLog(SPEC);
  return store;
}

const nameOf = ({ config }: NatsServer): string => /server_name: "(\w+)"/.exec(config)?.[1] ?? '';

/** The leader of the stream and the others, once there is one. */
async function roles(servers: readonly NatsServer[]) {
  const nc = await connect({ servers: servers.map(({ url }) => url) });
  try {
    const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 1000 });
    const find = async () => {
      const { cluster: found } = await jsm.streams.info(STREAM);
      const leader = servers.find((server) => nameOf(server) === found?.leader);
      if (leader === undefined) throw new Error('the stream has no leader');
      return { leader, followers: servers.filter((server) => server !== leader) };
    };
    return await eventually(find, { timeoutMs: GAP_MS });
  } finally {
    await nc.close();
  }
}

const record = (id: string) =>
  encodeRecord(
    {
      tenant: 'default',
      topic: `orders/${id.length % 2 === 0 ? 'even' : 'odd'}`,
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

const append = (store: EventStore, ...ids: string[]) =>
  store.append({
    log: LOG,
    partition: 0,
    records: ids.map((id) => ({ bytes: record(id), dedupKey: id })),
  });

/** Lanes that send each batch again until it is acknowledged, and what was acknowledged where. */
class Lanes {
  readonly acked = new Map<string, number>();
  readonly refused: MeshError[] = [];
  readonly #running: Promise<void>[];
  #stopped = false;

  constructor(store: EventStore, count = 4) {
    this.#running = Array.from({ length: count }, (_each, lane) => this.#run(store, lane));
  }

  async more(count: number): Promise<void> {
    const wanted = this.acked.size + count;
    await eventually(() => expect(this.acked.size).toBeGreaterThan(wanted), { timeoutMs: GAP_MS });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(store: EventStore, lane: number): Promise<void> {
    for (let n = 0; !this.#stopped;) {
      const ids = Array.from({ length: 5 }, (_each, i) => `${lane}-${n}-${i}`);
      try {
        const { positions } = await append(store, ...ids);
        for (const [i, id] of ids.entries()) this.acked.set(id, positions[i] ?? 0);
        n++;
      } catch (error) {
        this.refused.push(MeshError.from(error));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** The ids that are stored, in order of position. */
async function stored(store: EventStore, topicFilters?: string[]): Promise<string[]> {
  const ids: string[] = [];
  const from = { kind: 'position', position: 1 } as const;
  const options = topicFilters === undefined ? {} : { topicFilters };
  for await (const item of store.read({
    ...{ log: LOG, partition: 0, from, stopAtEnd: true },
    ...options,
  })) {
    if (item.kind === 'gap') throw new Error(`a gap from ${item.from} to ${item.to}`);
    if (item.kind !== 'batch') continue;
    for (const bytes of item.records) {
      ids.push(/data of ([\d-]+)/.exec(Buffer.from(bytes).toString('latin1'))?.[1] ?? '?');
    }
  }
  return ids;
}

/** Everything acknowledged is where it was said to be, once, and each lane's in its order. */
function expectWhole(ids: readonly string[], acked: ReadonlyMap<string, number>): void {
  expect(new Set(ids).size).toBe(ids.length);
  expect([...acked].filter(([id, position]) => ids[position - 1] !== id)).toEqual([]);
  const last = new Map<string, number>();
  for (const id of ids) {
    const [lane = '', n = 0, i = 0] = id.split('-');
    const place = Number(n) * 5 + Number(i);
    expect(place).toBe((last.get(lane) ?? -1) + 1);
    last.set(lane, place);
  }
}

describe('the JetStream store on three servers', () => {
  it(
    'says quorum-fsync, keeps saying so while a follower is down, and loses, repeats and reorders nothing',
    async () => {
      const servers = await cluster();
      const store = await open(servers);
      expect(await store.profile()).toMatchObject({ durability: 'quorum-fsync', warnings: [] });
      expect((await append(store, '9-0-0')).durability).toBe('quorum-fsync');
      const lanes = new Lanes(store);
      closing.push(() => lanes.stop());
      await lanes.more(200);
      const [follower] = (await roles(servers)).followers;
      await follower?.kill();
      await lanes.more(200);
      const profile = await eventually(() => store.profile(), { timeoutMs: GAP_MS });
      expect(profile.durability).toBe('quorum-fsync');
      expect(profile.warnings.join()).toContain('cannot be read');
      await follower?.restart();
      await lanes.more(100);
      const { leader } = await roles(servers);
      await leader.kill();
      await lanes.more(200);
      await lanes.stop();
      const wrong = lanes.refused.filter(({ code }) => !['Unavailable', 'Aborted'].includes(code));
      expect(wrong.map(({ code, message }) => [code, message])).toEqual([]);
      const ids = await stored(store);
      expectWhole(ids.slice(1), new Map([...lanes.acked].map(([id, at]) => [id, at - 1])));
      // What one replica has not got yet is not taken for what does not match.
      await leader.restart();
      const even = ids.filter((id) => id.length % 2 === 0);
      for (let n = 0; n < 5; n++) {
        expect(await stored(store, ['orders/even'])).toEqual(even);
        even.push(`77-00-${n}${n}`);
        await append(store, even.at(-1) ?? '');
      }
    },
    TEST_MS,
  );

  it(
    'fences a writer while the leader moves',
    async () => {
      const servers = await cluster();
      const [old, young] = [await open(servers), await open(servers)];
      await append(old, '0-0-0');
      expect((await append(young, '0-0-1')).positions).toEqual([2]);
      const { leader } = await roles(servers);
      await leader.kill();
      // The old writer still takes position 1 for the last; no leader lets it write behind that.
      const error = await eventually(
        async () => {
          const thrown = await append(old, '0-0-2').then(
            ({ positions }) => {
              throw new Error(`stored at ${positions.join()}`);
            },
            (refused: unknown) => MeshError.from(refused),
          );
          expect(thrown.code).toMatch(/^(Aborted|Unavailable)$/);
          return thrown;
        },
        { timeoutMs: 1 },
      );
      expect(error.retryable).toBe(true);
      const again = await eventually(() => append(old, '0-0-1', '0-0-2'), { timeoutMs: GAP_MS });
      expect(again).toMatchObject({ positions: [2, 3], duplicates: [0] });
      const behind = await eventually(() => append(young, '0-0-2', '0-0-3'), { timeoutMs: GAP_MS });
      expect(behind).toMatchObject({ positions: [3, 4], duplicates: [0] });
      expect(await stored(young)).toEqual(['0-0-0', '0-0-1', '0-0-2', '0-0-3']);
    },
    TEST_MS,
  );

  it(
    'acknowledges nothing without a majority, says why, and goes on when there is one again',
    async () => {
      const servers = await cluster();
      const store = await open(servers);
      await append(store, '0-0-0');
      const { followers } = await roles(servers);
      let acked = false;
      await Promise.all(followers.map((follower) => follower.kill()));
      // The first refusal may only know that the connection was lost.
      await eventually(
        async () => {
          const error = await append(store, '0-0-1').then(
            ({ positions }) => new Error(`stored at ${positions.join()}`),
            (thrown: unknown) => MeshError.from(thrown),
          );
          acked ||= !(error instanceof MeshError);
          expect(error).toMatchObject({ code: 'Unavailable', retryable: true });
          expect(error.message).toContain('majority');
        },
        { timeoutMs: GAP_MS },
      );
      expect(acked).toBe(false);
      await Promise.all(followers.map((follower) => follower.restart()));
      const receipt = await eventually(() => append(store, '0-0-1'), { timeoutMs: GAP_MS });
      expect(receipt.positions).toEqual([2]);
      expect(await stored(store)).toEqual(['0-0-0', '0-0-1']);
    },
    TEST_MS,
  );

  it(
    'waits in every call for a new leader, and answers as if there had always been one',
    async () => {
      const servers = await cluster();
      const first = await open(servers);
      await append(first, '0-0-0');
      const { leader, followers } = await roles(servers);
      // Connected to one that stays; what its calls wait for is the election alone.
      const urls = followers.slice(0, 1).map(({ url }) => url);
      const store = await open(servers, { servers: urls, ackTimeoutMs: GAP_MS });
      const id = { log: LOG, partition: 0, subscription: 'billing' };
      const cursor = { floor: 1, settled: [], epoch: 1, state: new Uint8Array(0) };
      await store.commitCursors([{ id, cursor }]);
      await leader.kill();
      const [made, receipt, refused, found, cursors, ids] = await Promise.all([
        store.ensureLog({ ...SPEC, name: 'made.meanwhile' }),
        append(store, '0-0-1'),
        store.commitCursors([{ id, cursor: { ...cursor, floor: 2 } }]),
        store.logInfo(LOG),
        store.listCursors(LOG),
        stored(store),
      ]);
      expect(made.partitions).toHaveLength(1);
      expect(receipt).toMatchObject({ positions: [2], durability: 'quorum-fsync' });
      expect([refused, cursors]).toEqual([[], [id]]);
      expect(found?.partitions[0]?.last).toBeGreaterThan(0);
      expect(ids[0]).toBe('0-0-0');
      expect((await store.loadCursor(id))?.floor).toBe(2);
      await store.trim(LOG, 0, 2);
      expect((await store.logInfo(LOG))?.partitions[0]).toMatchObject({ first: 2, last: 2 });
    },
    TEST_MS,
  );

  it(
    'is as strong as the weakest server, and says which one that is or was not seen',
    async () => {
      const servers = await cluster(['always', '2m', 'always']);
      const store = await open(servers);
      const weak = servers[1]?.monitorUrl ?? '';
      const { durability, warnings } = await store.profile();
      expect(durability).toBe('quorum-memory');
      expect(warnings).toEqual([expect.stringContaining(`Server "n2" (${weak}) acknowledges`)]);
      expect(warnings.join()).toContain('sync_interval: always');
      expect((await append(store, '0-0-0')).durability).toBe('quorum-memory');
      const seen = servers.filter(({ monitorUrl }) => monitorUrl !== weak);
      const blind = await open(seen);
      const unseen = await blind.profile();
      expect(unseen.durability).toBe('quorum-memory');
      expect(unseen.warnings).toEqual([expect.stringContaining('shows server "n2"')]);
    },
    TEST_MS,
  );
});
