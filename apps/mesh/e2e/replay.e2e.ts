import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  MeshError,
  replayToProto,
  type Delivery,
  type MeshClient,
  type ReplayInput,
  type Start,
} from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { Workspace } from './run-mesh.ts';
import { TwoSites } from './two-sites.ts';

const TEST_MS = 60_000;
const PAST = 300;
const NAME = 'work';
const dir = tempDir('replay');
const cli = new Workspace();
const stop = new AbortController();
let sites: TwoSites;
let publisher: MeshClient;
let subscriber: MeshClient;
/** Taken by the live consumer, in order. */
const live: Delivery[] = [];
const gaps: { readonly from: number; readonly to: number }[] = [];

const numberOf = ({ event }: Delivery): number => Number(event.id);
const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, n) => from + n);

async function publish(from: number, count: number, topic = 'orders/eu'): Promise<void> {
  const entries = range(from, count).map((n) => ({
    topic,
    event: { id: String(n), source: '/replay', type: n % 2 === 0 ? 'even' : 'odd', data: `${n}` },
  }));
  const stream = publisher.publisher();
  const outcomes = await stream.publishMany(entries);
  await stream.close();
  expect(outcomes.filter((outcome) => outcome instanceof MeshError)).toEqual([]);
}

/** Attaches again when the subscription is moved. */
async function consume(): Promise<void> {
  while (!stop.signal.aborted) {
    try {
      const options = { subscription: NAME, credit: 64, signal: stop.signal };
      const onGap = (gap: { fromPosition: bigint; toPosition: bigint }) => {
        gaps.push({ from: Number(gap.fromPosition), to: Number(gap.toPosition) });
      };
      for await (const delivery of subscriber.subscribe({ ...options, onGap })) {
        live.push(delivery);
        delivery.accept();
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
let consuming: Promise<void>;

const status = async () => {
  const { status: books } = await subscriber.subscriptions.getSubscription({ name: NAME });
  return books;
};

interface Ran {
  readonly deliveries: readonly Delivery[];
  readonly atMs: readonly number[];
  readonly gaps: readonly { from: number; to: number }[];
  readonly id: string;
}

/** Runs a lane to its end. */
async function replay(input: ReplayInput, credit = 64): Promise<Ran> {
  const told: { from: number; to: number }[] = [];
  const deliveries: Delivery[] = [];
  const atMs: number[] = [];
  const lane = subscriber.subscribe({
    subscription: NAME,
    replay: input,
    credit,
    onGap: ({ fromPosition, toPosition }) => {
      told.push({ from: Number(fromPosition), to: Number(toPosition) });
    },
  });
  for await (const delivery of lane) {
    deliveries.push(delivery);
    atMs.push(performance.now());
    delivery.accept();
  }
  return { deliveries, atMs, gaps: told, id: (await lane.opened).replayId };
}

beforeAll(async () => {
  // Small, so that the last tests can push what was stored before out of the log.
  sites = await TwoSites.start(dir.path, {
    dataPlane: { log: { retentionBytes: '1MiB' } },
  });
  publisher = sites.client('west', 'publisher');
  subscriber = sites.client('east', 'subscriber');
  await subscriber.subscriptions.createSubscription({
    subscription: { name: NAME, topicFilters: ['orders/#'] },
    convergeMs: 10_000n,
  });
  consuming = consume();
  await publish(1, PAST);
  await publish(9001, 5, 'other/eu');
  await eventually(() => expect(live).toHaveLength(PAST), { timeoutMs: 20_000 });
}, TEST_MS);

afterAll(async () => {
  stop.abort();
  await cli.remove();
  await sites?.stop();
  await consuming;
  dir.remove();
}, 30_000);

describe('a replay at east of what was published at west', () => {
  it(
    'goes on while live goes on, and neither disturbs the other',
    async () => {
      const before = await status();
      const lane = replay({ from: { kind: 'earliest' }, rateMax: 150 });
      // A second lane holds what it got and settles nothing.
      const idle = subscriber.subscribe({
        subscription: NAME,
        replay: { from: { kind: 'earliest' } },
        credit: 100,
      });
      const held: Delivery[] = [];
      const holding = (async () => {
        for await (const delivery of idle) held.push(delivery);
      })();
      await eventually(() => expect(held).toHaveLength(100));
      const openLanes = await subscriber.subscriptions.listReplays({ name: NAME });
      expect(openLanes.replays.map(({ rateMax }) => rateMax).toSorted()).toEqual([0, 150]);
      await publish(1001, 50);
      await eventually(() => expect(live.slice(PAST).map(numberOf)).toEqual(range(1001, 50)));
      // The paced lane was still under way when live was through.
      const [paced] = (await subscriber.subscriptions.listReplays({})).replays.filter(
        ({ rateMax }) => rateMax === 150,
      );
      expect(Number(paced?.delivered)).toBeLessThan(PAST);
      idle.close();
      await holding;
      const { deliveries, id } = await lane;
      expect(deliveries.map(numberOf)).toEqual(range(1, PAST));
      expect(new Set(deliveries.map(({ event }) => event.text('meshreplay')))).toEqual(
        new Set([id]),
      );
      expect(live.filter(({ event }) => event.text('meshreplay') !== undefined)).toEqual([]);
      const after = await status();
      expect(after).toMatchObject({ held: 0n, lag: 0n, consumers: 1, epoch: before?.epoch });
      expect(after?.delivered).toBe((before?.delivered ?? 0n) + 50n);
      expect(after?.redelivered).toBe(0n);
      expect((await subscriber.subscriptions.listReplays({})).replays).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'keeps to its rate',
    async () => {
      const rateMax = 100;
      const { atMs } = await replay({ from: { kind: 'earliest' }, rateMax });
      const seconds = ((atMs.at(-1) ?? 0) - (atMs[0] ?? 0)) / 1000;
      expect(atMs).toHaveLength(PAST + 50);
      expect(seconds).toBeGreaterThan(1);
      expect((atMs.length - 1) / seconds).toBeLessThanOrEqual(rateMax * 1.1);
    },
    TEST_MS,
  );

  it.each<[string, ReplayInput]>([
    ['everything', { from: { kind: 'earliest' } }],
    ['from a position', { from: { kind: 'position', partition: 0, position: 200 } }],
    ['from behind an event', { from: { kind: 'after', source: '/replay', id: '290' } }],
    ['nothing', { from: { kind: 'latest' } }],
  ])('is previewed as it is then delivered: %s', async (_, input) => {
    const preview = await subscriber.subscriptions.previewReplay({
      name: NAME,
      replay: replayToProto(input),
    });
    const { deliveries, id } = await replay(input);
    const mark = `meshreplay${id}`.length + 8;
    const bytes = deliveries.reduce((sum, { event }) => sum + event.bytes.length - mark, 0);
    expect(preview).toMatchObject({
      events: BigInt(deliveries.length),
      bytes: BigInt(bytes),
      gaps: [],
    });
  });

  it('goes from a time to a time', async () => {
    const past = await replay({ from: { kind: 'time', timeMs: 1 }, toMs: Date.now() });
    expect(past.deliveries).toHaveLength(PAST + 50);
    // By a few seconds clocks may differ.
    const ahead = (ms: number) => replay({ from: { kind: 'time', timeMs: Date.now() + ms } });
    expect((await ahead(3000)).deliveries).toEqual([]);
    await expect(ahead(60_000)).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'start.time_ms', reason: 'START_IN_FUTURE' },
    });
  });

  it('streams over HTTP and ends complete', async () => {
    const path = `/v1/subscriptions/${NAME}/events?replayFrom=0:340&replayTo=${new Date().toISOString()}`;
    const response = await sites.http('east', 'subscriber', path);
    const text = await response.text();
    const events = text.split('\n\n').filter((block) => block.startsWith('id: '));
    const { deliveries } = await replay({
      from: { kind: 'position', partition: 0, position: 340 },
    });
    const json = events.map((block) => JSON.parse(block.split('\ndata: ')[1] ?? '') as object);
    expect(json.map((event) => (event as { id: string }).id)).toEqual(
      deliveries.map(({ event }) => event.id),
    );
    expect(text).toMatch(/event: ended\ndata: .*"status":200.*"reason":"COMPLETE"/);
    const preview = await sites.http(
      ...(['east', 'subscriber', `/v1/subscriptions/${NAME}/replay?from=0:340`] as const),
    );
    expect(await preview.json()).toMatchObject({ events: events.length, gaps: [] });
  });

  it('is stopped by whoever may see it, and by nobody else', async () => {
    const lane = subscriber.subscribe({
      subscription: NAME,
      replay: { from: { kind: 'earliest' }, rateMax: 1 },
      credit: 5,
    });
    const ran = (async () => {
      for await (const delivery of lane) delivery.accept();
    })();
    const { replayId } = await lane.opened;
    const drop = (user: 'admin' | 'evil/mallory') =>
      sites.http('east', user, `/v1/replays/${replayId}`, { method: 'DELETE' });
    expect((await drop('evil/mallory')).status).toBe(404);
    const listed = await sites.http('east', 'admin', `/v1/replays?subscription=${NAME}`);
    expect(await listed.json()).toMatchObject({ replays: [{ id: replayId, rateMax: 1 }] });
    expect((await drop('admin')).status).toBe(204);
    await expect(ran).rejects.toMatchObject({ code: 'Cancelled', reason: 'REPLAY_STOPPED' });
    expect((await drop('admin')).status).toBe(404);
  });

  it(
    'is previewed, run, listed and stopped from the command line',
    async () => {
      const here = sites.flags('east', 'subscriber');
      const preview = await cli.json<{ events: number }>('replay', 'preview', NAME, ...here);
      expect(preview).toMatchObject({ events: PAST + 50, gaps: [] });
      const from = ['--from', 'after:/replay 1048'];
      const ran = await cli.run('replay', 'run', NAME, ...from, ...here, '-o', 'json');
      expect(ran.code).toBe(0);
      const lines = ran.out.trim().split('\n');
      expect(lines.map((line) => (JSON.parse(line) as { event: { id: string } }).event.id)).toEqual(
        [...['1049', '1050']],
      );
      expect(ran.err).toMatch(/^replay [0-9a-f]{16} of work\n2 events\n$/);
      const slow = cli.start('replay', 'run', NAME, '--rate', '1', ...here);
      const [, id = ''] = await slow.until(/replay ([0-9a-f]{16}) of work/);
      const rows = await cli.json<{ id: string; rateMax: number }[]>('replay', 'list', ...here);
      expect(rows).toEqual([expect.objectContaining({ id, rateMax: 1 })]);
      expect((await cli.run('replay', 'stop', id, ...here)).code).toBe(0);
      expect(await slow.ended).toBe(0);
      expect(slow.err).toContain('the replay was stopped by subscriber');
      const missing = await cli.run('replay', 'stop', id, ...here);
      expect([missing.code, missing.err]).toEqual([66, expect.stringContaining('NotFound 40400')]);
    },
    TEST_MS,
  );

  it('is for the tenant of its subscription, and bounded in number', async () => {
    const mallory = sites.client('east', 'evil/mallory');
    const input = { from: { kind: 'earliest' } } as const;
    const foreign = mallory.subscribe({ subscription: NAME, replay: input });
    await expect(foreign[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'NotFound',
    });
    const lanes = range(0, 8).map(() =>
      subscriber.subscribe({ subscription: NAME, replay: input, credit: 1 }),
    );
    const running = lanes.map(async (lane) => {
      for await (const _ of lane);
    });
    await Promise.all(lanes.map(({ opened }) => opened));
    await expect(replay(input)).rejects.toMatchObject({
      code: 'ResourceExhausted',
      reason: 'REPLAYS_MAX',
    });
    lanes.forEach((lane) => lane.close());
    await Promise.all(running);
    expect((await replay(input)).deliveries).toHaveLength(PAST + 50);
  });
});

describe('a subscription that is moved', () => {
  const moved = async (start: Start): Promise<number[]> => {
    const from = live.length;
    const answer = await sites.http('east', 'admin', `/v1/subscriptions/${NAME}/seek`, {
      method: 'POST',
      body: JSON.stringify({ start }),
    });
    expect(answer.status).toBe(200);
    const last = 2000 + from;
    await publish(last, 1);
    await eventually(() => expect(live.slice(from).map(numberOf)).toContain(last));
    return live.slice(from).map(numberOf);
  };

  it(
    'goes on from a position, behind an event, from the latest and from a time',
    async () => {
      const all = [...range(1, PAST), ...range(1001, 50)];
      const seen = await moved({ kind: 'position', partition: 0, position: 311 });
      expect(seen.slice(0, -1)).toEqual(all.slice(-seen.length + 1));
      expect((await moved({ kind: 'after', source: '/replay', id: '1040' })).slice(0, 10)).toEqual(
        range(1041, 10),
      );
      expect(await moved({ kind: 'latest' })).toHaveLength(1);
      expect((await moved({ kind: 'time', timeMs: 1 })).slice(0, PAST)).toEqual(range(1, PAST));
      expect(gaps).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'and a replay are told of what is no longer there, and skip nothing silently',
    async () => {
      const filler = 'x'.repeat(60_000);
      for (let n = 0; n < 40; n++) {
        const event = { id: `filler-${n}`, source: '/filler', type: 'filler', data: filler };
        await publisher.publish('orders/filler', event);
      }
      await eventually(() => expect(live.at(-1)?.event.id).toBe('filler-39'));
      const firstGap = await eventually(async () => {
        const preview = await subscriber.subscriptions.previewReplay({
          name: NAME,
          replay: replayToProto({ from: { kind: 'position', partition: 0, position: 1 } }),
        });
        expect(preview.gaps).toHaveLength(1);
        return preview.gaps[0];
      });
      expect(firstGap).toMatchObject({ partition: 0, fromPosition: 1n });
      const to = Number(firstGap?.toPosition);
      expect(to).toBeGreaterThan(PAST);
      const ran = await replay({ from: { kind: 'position', partition: 0, position: 1 } });
      expect(ran.gaps).toEqual([{ from: 1, to }]);
      expect(ran.deliveries[0]?.position).toBe(to + 1);
      for (const start of [
        { kind: 'position', partition: 0, position: 5 },
        { kind: 'time', timeMs: 1 },
      ] as const) {
        gaps.length = 0;
        const from = live.length;
        await moved(start);
        const first = start.kind === 'time' ? 1 : 5;
        expect(gaps).toEqual([{ from: first, to }]);
        expect(live[from]?.position).toBe(to + 1);
      }
    },
    TEST_MS,
  );
});
