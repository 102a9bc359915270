import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, SubscriptionStatus, WhyReport } from '@eventmesh/adapter-api';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { createClient, type Transport } from '@eventmesh/rpc';
import {
  MeshError,
  replayToProto,
  type Delivery,
  type PublishOptions,
  type ReplayInput,
} from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { SiteMesh } from './faults/site-mesh.ts';
import { Taker } from './faults/taker.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 90_000;
/** Until a site is itself again: leases run out, streams and stores are opened anew. */
const RECOVERY_MS = 40_000;
const KIB = 1024;

const workspace = new Workspace();
const transports: Transport[] = [];
let mesh: SiteMesh;

beforeAll(async () => {
  // Both small, so that a test can fill the one and push what is old out of the other.
  const dataPlane = {
    deadLetters: { bytesMax: '256KiB' },
    log: { retentionBytes: '2MiB' },
    timers: { lateTolerance: '1s' },
  };
  const options = { jetstream: true, emesher: { dataPlane } };
  mesh = await SiteMesh.start(workspace.folder, { west: 1 }, options);
}, 120_000);

afterAll(async () => {
  for (const transport of transports) transport.close();
  await mesh?.stop();
  await workspace.remove();
}, 60_000);

const west = () => mesh.emesher(0);
const recovers = <T>(attempt: () => T | Promise<T>) =>
  eventually(attempt, { timeoutMs: RECOVERY_MS });

async function publish(
  topic: string,
  ids: readonly string[],
  { data = 'x', ...options }: PublishOptions & { readonly data?: string } = {},
): Promise<void> {
  const client = mesh.client(west(), 'publisher');
  const stream = client.publisher();
  const outcomes = await stream.publishMany(
    ids.map((id) => ({ topic, event: { id, source: '/letters', type: 'test', data }, ...options })),
  );
  expect(outcomes.filter((outcome) => outcome instanceof MeshError)).toEqual([]);
  await stream.close();
  client.close();
}

/** Attaches a consumer; the lease of an owner that was killed has to run out first. */
const take = (name: string, settle: (delivery: Delivery) => void) =>
  recovers(() =>
    Taker.attach(mesh.client(west(), 'subscriber'), {
      subscription: { name, topicFilters: [`${name}/#`], start: { kind: 'earliest' } },
      settle,
    }),
  );

const status = async (name: string): Promise<SubscriptionStatus> => {
  const path = `/v1/subscriptions/${name}`;
  return (await mesh.manage(west()).get<{ status: SubscriptionStatus }>(path)).status;
};

const deadLetters = () => {
  const transport = mesh.transport('emesher');
  transports.push(transport);
  return createClient(DeadLetterService, transport);
};
interface Shown {
  readonly id: number;
  readonly eventId: string;
}
const list = async (query: Readonly<Record<string, string>> = {}): Promise<Shown[]> =>
  (await mesh.manage(west()).get<{ items: Shown[] }>('/v1/dead-letters', query)).items;
const eventIds = async (query: Readonly<Record<string, string>> = {}): Promise<string[]> =>
  (await list(query)).map(({ eventId }) => eventId);
/** @param notBeforeMs when they come back at the earliest */
const restartBoth = async (notBeforeMs = 0): Promise<void> => {
  await Promise.all([west().process.kill(), mesh.nats().kill()]);
  await recovers(() => expect(Date.now()).toBeGreaterThan(notBeforeMs));
  await mesh.nats().restart();
  await west().process.start();
};

describe('the dead letters of a site on JetStream', () => {
  it(
    'survive the death of emesher and nats-server, and are redriven and purged after it',
    async () => {
      const bills = ['bill-1', 'bill-2', 'bill-3'];
      const first = await take('billing', (delivery) => delivery.reject('no such customer'));
      await publish('billing/x', bills);
      await recovers(async () => {
        expect(await eventIds({ subscription: 'billing' })).toEqual(bills);
      });
      await restartBoth();
      await first.leave();
      expect(await eventIds({ subscription: 'billing' })).toEqual(bills);
      const letters = deadLetters();
      const selection = { subscription: 'billing', cause: 'no such customer' };
      const { groups } = await letters.groups({ selection });
      expect(groups).toMatchObject([{ ...selection, count: 3n }]);

      const redrives: (string | undefined)[] = [];
      const again = await take('billing', (delivery) => {
        const times = delivery.event.text('meshredrives');
        // What was settled just before the kill may come again, and dies of the same.
        if (times === undefined) return delivery.reject('no such customer');
        redrives.push(times);
        if (delivery.event.id === 'bill-2') delivery.accept();
        else delivery.reject('still none');
      });
      const { redriven } = await letters.redrive({ selection });
      expect(redriven).toBe(3n);
      await recovers(async () => {
        expect(await eventIds({ cause: 'still none' })).toEqual(['bill-1', 'bill-3']);
      });
      expect(redrives).toEqual(['1', '1', '1']);
      const { purged } = await letters.purge({ selection: { subscription: 'billing' } });
      expect(purged).toBe(2n);
      await again.leave();
    },
    TEST_MS,
  );

  it(
    'are held at the quota, by a site that is killed meanwhile, too, and written when there is room',
    async () => {
      const full = () => mesh.metric(west(), 'eventmesh_dead_letters_full', { tenant: 'default' });
      const large = { data: 'x'.repeat(100 * KIB) };
      const all = ['full-1', 'full-2', 'full-3', 'full-4'];
      const reject = (delivery: Delivery) => delivery.reject('too large');
      const first = await take('large', reject);
      await publish('large/x', all, large);
      await recovers(async () => expect(await full()).toBe(1));
      await recovers(async () => expect(await eventIds()).toEqual(all.slice(0, 2)));
      const timed = { ...large, deliverAt: Date.now() + 2000, latePolicy: 'dead-letter' } as const;
      await publish('timed/x', ['too-late'], timed);
      await restartBoth(timed.deliverAt + 1100);
      await first.leave();
      const second = await take('large', reject);
      await recovers(async () => expect(await full()).toBe(1));
      // What comes due is not held up by what is too late and finds no room.
      const timely = await take('timed', (delivery) => delivery.accept());
      await publish('timed/x', ['in-time'], { deliverAfterMs: 300 });
      await recovers(() => expect(timely.ids).toEqual(['in-time']));
      await timely.leave();
      expect(await eventIds()).toEqual(all.slice(0, 2));
      // What was settled just before the kill may have come again: it dies again, with a new letter.
      const written = new Set<string>();
      await recovers(async () => {
        const found = await list();
        for (const { eventId } of found) written.add(eventId);
        const ids = found.map(({ id }) => BigInt(id));
        if (ids.length > 0) await deadLetters().purge({ selection: { ids } });
        expect([...written].toSorted()).toEqual([...all, 'too-late']);
        expect(await full()).toBe(0);
      });
      expect(await status('large')).toMatchObject({ delivered: 0, dropped: 0, held: 0 });
      await second.leave();
    },
    TEST_MS,
  );
});

describe('the command line at a site on JetStream', () => {
  const cli = <T>(...args: string[]) => workspace.json<T>(...args, ...mesh.flags(west()));

  it(
    'finds the books in agreement with the store, after all of that',
    async () => {
      const findings = await cli<LedgerFinding[]>('ledger', '--check');
      expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
      expect(new Set(findings.map(({ check }) => check))).toEqual(
        new Set(['stored', 'dead-letters', 'outcomes', 'progress']),
      );
    },
    TEST_MS,
  );

  it(
    'explains what became of an event, also when only the store remembers it',
    async () => {
      const why = async (id: string, subject: string) => {
        const { answers } = await cli<WhyReport>('why', id);
        return answers.find((answer) => answer.subject === subject);
      };
      const taker = await take('asked', (delivery) => delivery.reject('not for us'));
      await publish('asked/x', ['asked-1']);
      await recovers(async () => {
        expect(await why('asked-1', 'asked')).toMatchObject({ state: 'dead-lettered' });
      });
      expect(await why('asked-1', 'large')).toMatchObject({ state: 'filtered' });
      await taker.leave();
      // Published before the emesher was killed for the last time.
      expect(await why('bill-2', 'large')).toMatchObject({
        state: 'filtered',
        reason: expect.stringContaining('it asks for "large" at level 1, the topic has "billing"'),
      });
    },
    TEST_MS,
  );
});

describe('a replay at a site on JetStream', () => {
  const numbered = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

  async function replay(input: ReplayInput) {
    const client = mesh.client(west(), 'subscriber');
    const gaps: { from: bigint; to: bigint }[] = [];
    const deliveries: Delivery[] = [];
    const lane = client.subscribe({
      subscription: 'past',
      replay: input,
      onGap: ({ fromPosition: from, toPosition: to }) => gaps.push({ from, to }),
    });
    for await (const delivery of lane) {
      deliveries.push(delivery);
      delivery.accept();
    }
    const { replayId } = await lane.opened;
    client.close();
    return { ids: deliveries.map(({ event }) => event.id), deliveries, gaps, replayId };
  }

  async function preview(input: ReplayInput) {
    const client = mesh.client(west(), 'subscriber');
    const about = { name: 'past', replay: replayToProto(input) };
    const answer = await client.subscriptions.previewReplay(about);
    client.close();
    return answer;
  }

  it(
    'goes by time as its preview says, marks what it delivers, and tells what is gone',
    async () => {
      const live = await take('past', (delivery) => delivery.accept());
      await publish('past/x', numbered('early', 20));
      await recovers(() => expect(live.taken).toHaveLength(20));
      // The one are stored before it, the others after it.
      const middleMs = Date.now() + 1;
      await eventually(() => expect(Date.now()).toBeGreaterThan(middleMs));
      await publish('past/x', numbered('late', 30));
      await recovers(() => expect(live.taken).toHaveLength(50));

      const later = { from: { kind: 'time', timeMs: middleMs } } as const;
      const sooner = { from: { kind: 'earliest' }, toMs: middleMs } as const;
      expect(await preview(later)).toMatchObject({ events: 30n, gaps: [] });
      const ran = await replay(later);
      expect(ran.ids).toEqual(numbered('late', 30));
      const marks = ran.deliveries.map(({ event }) => event.text('meshreplay'));
      expect(new Set(marks)).toEqual(new Set([ran.replayId]));
      expect((await replay(sooner)).ids).toEqual(numbered('early', 20));
      // The live one noticed nothing.
      expect(await status('past')).toMatchObject({ delivered: 50, redelivered: 0, held: 0 });

      const filler = numbered('filler', 60);
      await publish('past/filler', filler, { data: 'x'.repeat(60 * KIB) });
      await recovers(() => expect(live.ids.at(-1)).toBe('filler-59'));
      const everything = { from: { kind: 'position', partition: 0, position: 1 } } as const;
      const {
        gaps: [gap],
      } = await preview(everything);
      expect(gap).toMatchObject({ partition: 0, fromPosition: 1n });
      const rest = await replay(everything);
      expect(rest.gaps).toEqual([{ from: 1n, to: gap?.toPosition }]);
      expect(rest.deliveries[0]?.position).toBe(Number(gap?.toPosition) + 1);
      expect(rest.ids).toEqual(filler.slice(-rest.ids.length));
      await live.leave();
    },
    TEST_MS,
  );
});
