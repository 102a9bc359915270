import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerLine, SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually, tempDir } from '@eventmesh/testing';
import { Judge, RECOVERY_MS, REPEATS_OF_A_DEAD_OWNER } from './faults/judge.ts';
import { CREDIT, Load, SUBSCRIPTION } from './faults/load.ts';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Taker, type TakerOptions, type Wanted } from './faults/taker.ts';

const TEST_MS = 90_000;
/** Both consumers of the load may hold their credit when an owner dies. */
const REPEATS = REPEATS_OF_A_DEAD_OWNER + CREDIT;

const dir = tempDir('two-emeshers');
let mesh: SiteMesh;
const takers: Taker[] = [];

beforeAll(async () => {
  mesh = await SiteMesh.start(dir.path, { west: 2 });
}, 120_000);

afterEach(async () => {
  await Promise.all(takers.splice(0).map((taker) => taker.leave()));
});

afterAll(async () => {
  await mesh?.stop();
  dir.remove();
}, 60_000);

const first = (): Emesher => mesh.emesher(0);
const second = (): Emesher => mesh.emesher(1);

async function take(at: Emesher, options: TakerOptions): Promise<Taker> {
  const taker = await Taker.attach(mesh.client(at, 'subscriber'), options);
  takers.push(taker);
  return taker;
}

/** Publishes events with these ids, in order, and waits for their receipts. */
async function publish(at: Emesher, topic: string, ids: readonly string[], direct = false) {
  const client = mesh.client(at, 'publisher');
  try {
    for (const id of ids) {
      const options = direct ? { deliveryClass: 'direct' as const } : {};
      await client.publish(topic, { id, source: '/two', type: 'com.example.two' }, options);
    }
  } finally {
    client.close();
  }
}

const some = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const sorted = (ids: Iterable<string>): string[] => [...ids].sort();
const status = async (at: Emesher, name: string): Promise<SubscriptionStatus> =>
  (
    await mesh
      .manage(at, 'subscriber')
      .get<{ status: SubscriptionStatus }>(`/v1/subscriptions/${encodeURIComponent(name)}`)
  ).status;
const named = (name: string, more: Partial<Wanted> = {}): Wanted => ({
  name,
  topicFilters: [`${name}/#`],
  ...more,
});

describe('a shared subscription with consumers at two emeshers', () => {
  it(
    'gives each event to one of them, and tells the same books at both',
    async () => {
      const a = await take(first(), { subscription: named('shared'), credit: 1 });
      const b = await take(second(), { subscription: 'shared', credit: 1 });
      const ids = some(200);
      await publish(second(), 'shared/x', ids);
      await eventually(() => expect(a.taken.length + b.taken.length).toBe(200));
      expect(sorted([...a.ids, ...b.ids])).toEqual(sorted(ids));
      expect(Math.min(a.taken.length, b.taken.length)).toBeGreaterThan(0);
      await eventually(async () => {
        const [here, there] = await Promise.all([
          status(first(), 'shared'),
          status(second(), 'shared'),
        ]);
        expect(here).toMatchObject({ consumers: 2, delivered: 200, ownerMember: first().member });
        expect(there).toEqual(here);
      });
    },
    TEST_MS,
  );
});

describe('an exclusive subscription', () => {
  it(
    'has one consumer in the whole site, and takes the next one when that leaves',
    async () => {
      const subscription = named('exclusive', { mode: 'exclusive' });
      const a = await take(first(), { subscription });
      const refused = { code: 'FailedPrecondition', reason: 'EXCLUSIVE' };
      await expect(take(second(), { subscription })).rejects.toMatchObject(refused);
      await a.leave();
      await eventually(() => take(second(), { subscription }), { timeoutMs: 5000 });
      await expect(take(first(), { subscription })).rejects.toMatchObject(refused);
    },
    TEST_MS,
  );
});

describe('a running subscription, asked at the emesher that does not run it,', () => {
  it(
    'is paused and resumed',
    async () => {
      const a = await take(first(), { subscription: named('paused') });
      const there = mesh.client(second(), 'subscriber');
      try {
        await there.subscriptions.pauseSubscription({ name: 'paused', paused: true });
        await publish(second(), 'paused/x', ['while-paused']);
        await eventually(async () => expect((await status(second(), 'paused')).held).toBe(1));
        expect(a.taken).toEqual([]);
        await there.subscriptions.pauseSubscription({ name: 'paused', paused: false });
        await eventually(() => expect(a.ids).toEqual(['while-paused']));
        expect(a.ended).toBeUndefined();
      } finally {
        there.close();
      }
    },
    TEST_MS,
  );

  it(
    'is moved to another start, and its consumers are told to come again',
    async () => {
      const subscription = named('sought');
      const a = await take(first(), { subscription });
      const ids = some(5);
      await publish(first(), 'sought/x', ids);
      await eventually(() => expect(a.ids).toEqual(ids));
      const there = mesh.client(second(), 'subscriber');
      try {
        const start = { from: { case: 'earliest' as const, value: {} } };
        await there.subscriptions.seekSubscription({ name: 'sought', start });
      } finally {
        there.close();
      }
      await eventually(() => expect(a.ended).toMatchObject({ code: 'Aborted', reason: 'SEEK' }));
      const again = await take(first(), { subscription: 'sought' });
      await eventually(() => expect(again.ids).toEqual(ids));
    },
    TEST_MS,
  );

  it(
    'is deleted with its progress, so that one of the same name begins anew',
    async () => {
      const subscription = named('deleted', { start: { kind: 'earliest' } });
      const a = await take(first(), { subscription });
      const ids = some(3);
      await publish(first(), 'deleted/x', ids);
      await eventually(() => expect(a.ids).toEqual(ids));
      const there = mesh.client(second(), 'subscriber');
      try {
        await there.subscriptions.deleteSubscription({ name: 'deleted' });
      } finally {
        there.close();
      }
      await eventually(() => expect(a.ended).toMatchObject({ code: 'NotFound' }));
      const again = await take(second(), { subscription });
      await eventually(() => expect(again.ids).toEqual(ids));
    },
    TEST_MS,
  );
});

describe('a broadcast subscription', () => {
  it(
    'gives every event to each consumer, at both emeshers, and keeps the place of those with a name',
    async () => {
      const subscription = named('all', { mode: 'broadcast' });
      const a = await take(first(), { subscription, consumer: 'a' });
      const b = await take(second(), { subscription, consumer: 'b' });
      const nameless = await take(second(), { subscription });
      const ids = some(50);
      await publish(first(), 'all/x', ids);
      for (const taker of [a, b, nameless]) await eventually(() => expect(taker.ids).toEqual(ids));
      await eventually(async () => {
        expect(await status(first(), 'all')).toMatchObject({ consumers: 3, delivered: 150 });
      });
      const there = mesh.client(first(), 'subscriber');
      for (const paused of [true, false]) {
        await there.subscriptions.pauseSubscription({ name: 'all', paused });
        await eventually(async () => {
          const { subscriptions } = await there.subscriptions.listSubscriptions({});
          const own = subscriptions.map((each) => each.subscription);
          const all = own.filter((each) => each?.name.startsWith('all'));
          expect(all.map((each) => each?.paused)).toEqual([paused, paused, paused, paused]);
        });
      }
      there.close();
      expect([a.ended, b.ended, nameless.ended]).toEqual([undefined, undefined, undefined]);
      await b.leave();
      await nameless.leave();
      const missed = some(5);
      await publish(second(), 'all/x', missed);
      await eventually(() => expect(a.ids).toEqual([...ids, ...missed]));
      const back = await take(first(), { subscription, consumer: 'b' });
      await eventually(() => expect(back.ids).toEqual(missed));
      const client = mesh.client(second(), 'subscriber');
      try {
        await eventually(async () => {
          const { subscriptions } = await client.subscriptions.listSubscriptions({});
          const parts = subscriptions.filter(
            ({ subscription: each }) => each?.broadcastOf === 'all',
          );
          expect(parts.map(({ subscription: each }) => each?.name)).toEqual(['all:a', 'all:b']);
        });
        await client.subscriptions.deleteSubscription({ name: 'all' });
        const { subscriptions } = await client.subscriptions.listSubscriptions({});
        const left = subscriptions.map(({ subscription: each }) => each?.name ?? '');
        expect(left.filter((name) => name.startsWith('all'))).toEqual([]);
      } finally {
        client.close();
      }
      await eventually(() => expect(a.ended).toMatchObject({ code: 'NotFound' }));
    },
    TEST_MS,
  );
});

describe('an event of the direct class', () => {
  const direct = (name: string, more: Partial<Wanted> = {}) =>
    named(name, { deliveryClass: 'direct', ...more });

  it(
    'reaches every consumer of a broadcast, and one of those that compete, over both emeshers',
    async () => {
      const all = direct('direct-all', { mode: 'broadcast', topicFilters: ['direct/#'] });
      const one = direct('direct-one', { topicFilters: ['direct/#'] });
      const takers = [];
      for (const at of [first(), second()]) {
        takers.push(await take(at, { subscription: all }));
        takers.push(await take(at, { subscription: one, credit: 1000 }));
      }
      const [allHere, oneHere, allThere, oneThere] = takers;
      // What was made at one emesher is known at the other a moment later.
      await eventually(async () => {
        await publish(first(), 'direct/warm', ['warm'], true);
        expect(allThere?.ids).toContain('warm');
        expect(allHere?.ids).toContain('warm');
      });
      const ids = [...some(40)];
      await publish(first(), 'direct/x', ids.slice(0, 20), true);
      await publish(second(), 'direct/x', ids.slice(20), true);
      const real = (taker: Taker | undefined) =>
        (taker?.taken ?? [])
          .filter(({ topic }) => topic === 'direct/x')
          .map(({ event }) => event.id);
      for (const taker of [allHere, allThere]) {
        await eventually(() => expect(sorted(real(taker))).toEqual(sorted(ids)));
      }
      await eventually(() =>
        expect(sorted([...real(oneHere), ...real(oneThere)])).toEqual(sorted(ids)),
      );
      expect(Math.min(real(oneHere).length, real(oneThere).length)).toBeGreaterThan(0);
      // The books are those of the site, whichever emesher is asked, also when consumers have left.
      const booksAgree = async () => {
        const delivered = (allHere?.taken.length ?? 0) + (allThere?.taken.length ?? 0);
        for (const at of [first(), second()]) {
          const { lines } = await mesh.manage(at).get<{ lines: LedgerLine[] }>('/v1/ledger');
          const none = { filtered: 0, expired: 0, dropped: 0, held: 0 };
          const line = lines.find(({ subscription }) => subscription === all.name);
          expect(line).toMatchObject({ accepted: delivered, delivered, ...none });
        }
      };
      await eventually(booksAgree);
      await allThere?.leave();
      await booksAgree();
    },
    TEST_MS,
  );

  it(
    'has an exclusive consumer once in the whole site',
    async () => {
      const subscription = direct('direct-exclusive', { mode: 'exclusive' });
      await take(first(), { subscription });
      const refused = { code: 'FailedPrecondition', reason: 'EXCLUSIVE' };
      await expect(take(second(), { subscription })).rejects.toMatchObject(refused);
    },
    TEST_MS,
  );
});

describe('a subscription whose owner is killed', () => {
  it(
    'moves under the stream of a consumer at the other emesher, and refuses what that settles late',
    async () => {
      const subscription = named('moved', { ackTimeoutMs: 600_000 });
      const settle = () => undefined;
      await take(first(), { subscription, settle, credit: 0 });
      const b = await take(second(), { subscription, settle });
      await publish(second(), 'moved/x', ['moved-1']);
      await eventually(() => expect(b.ids).toEqual(['moved-1']));
      await first().process.kill();
      await eventually(() => expect(b.ids).toEqual(['moved-1', 'moved-1']), {
        timeoutMs: RECOVERY_MS,
      });
      expect(b.ended).toBeUndefined();
      const [stale, fresh] = b.taken;
      stale?.accept();
      await publish(second(), 'moved/x', ['moved-2']);
      await eventually(() => expect(b.taken).toHaveLength(3));
      expect(await status(second(), 'moved')).toMatchObject({
        delivered: 0,
        held: 2,
        consumers: 1,
        ownerMember: second().member,
      });
      fresh?.accept();
      await eventually(async () => {
        expect(await status(second(), 'moved')).toMatchObject({ delivered: 1, held: 1 });
      });
      await first().process.start();
    },
    TEST_MS,
  );

  it(
    'does not take an id from before a restart for one of now',
    async () => {
      const subscription = named('restarted', { ackTimeoutMs: 600_000 });
      const settle = () => undefined;
      const before = await take(first(), { subscription, settle });
      await publish(first(), 'restarted/x', ['once']);
      await eventually(() => expect(before.ids).toEqual(['once']));
      await first().process.kill();
      await first().process.start();
      const client = mesh.client(first(), 'subscriber');
      try {
        const after = client.subscribe({ subscription });
        for await (const delivery of after) {
          expect(delivery.event.id).toBe('once');
          after.accept(before.taken.map(({ id }) => id));
          await publish(first(), 'restarted/x', ['twice']);
          break;
        }
        expect(await status(second(), 'restarted')).toMatchObject({ delivered: 0 });
      } finally {
        client.close();
      }
    },
    TEST_MS,
  );

  it(
    'vanishes with the lease of its emesher when it is ephemeral',
    async () => {
      const taker = await take(first(), { subscription: { name: '', topicFilters: ['gone/#'] } });
      const client = mesh.client(second(), 'subscriber');
      const ephemeral = async () => {
        const { subscriptions } = await client.subscriptions.listSubscriptions({});
        return subscriptions.filter(({ subscription }) => subscription?.ephemeral === true);
      };
      try {
        await eventually(async () => expect(await ephemeral()).toHaveLength(1));
        await first().process.kill();
        await eventually(async () => expect(await ephemeral()).toEqual([]), {
          timeoutMs: RECOVERY_MS,
        });
        expect(taker.ended).toBeDefined();
      } finally {
        client.close();
        await first().process.start();
      }
    },
    TEST_MS,
  );
});

describe('under load', () => {
  let load: Load;
  let judge: Judge;
  const recoveries: Record<string, number> = {};

  beforeAll(async () => {
    load = new Load({
      publisher: () => mesh.client(second(), 'publisher'),
      subscriber: () => mesh.client(first(), 'subscriber'),
      others: [() => mesh.client(second(), 'subscriber')],
      ordered: true,
      keys: 400,
    });
    judge = new Judge(load, mesh.manage(second()));
    await load.start();
    await load.flows(RECOVERY_MS);
  }, 60_000);

  afterAll(async () => {
    process.stderr.write(`recovery in ms: ${JSON.stringify(recoveries)}\n`);
    await load?.stop();
  });

  const ownedBy = (emesher: Emesher) =>
    eventually(
      async () => {
        const { ownerMember } = await status(second(), SUBSCRIPTION);
        expect(ownerMember).toBe(emesher.member);
      },
      { timeoutMs: RECOVERY_MS },
    );

  /** Only an emesher that has a consumer takes over: one that was cut off has to be back. */
  const bothConsume = () =>
    eventually(
      async () => expect(await status(second(), SUBSCRIPTION)).toMatchObject({ consumers: 2 }),
      { timeoutMs: RECOVERY_MS },
    );

  it(
    'consumers at both emeshers lose, repeat and reorder nothing',
    async () => {
      await ownedBy(first());
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'the owner keeps what nobody took over while the registry was away for longer than its lease',
    async () => {
      await ownedBy(first());
      const { epoch } = await status(second(), SUBSCRIPTION);
      await mesh.killRegistryBeyondLeases(RECOVERY_MS);
      await load.flows(RECOVERY_MS);
      await mesh.service('registry').start();
      await eventually(async () => expect(await mesh.resumed()).toBeGreaterThan(0), {
        timeoutMs: RECOVERY_MS,
      });
      await ownedBy(first());
      await judge.recovers();
      expect(await status(second(), SUBSCRIPTION)).toMatchObject({ epoch, consumers: 2 });
    },
    TEST_MS,
  );

  it(
    'the other emesher takes over when the owner is killed, and nothing is lost or reordered',
    async () => {
      await load.accepts(50, RECOVERY_MS);
      await bothConsume();
      await first().process.kill();
      recoveries['kill -9 of the owner'] = await load.flows(RECOVERY_MS);
      await ownedBy(second());
      await first().process.start();
      await judge.recovers({ repeatsMax: REPEATS });
    },
    TEST_MS,
  );

  it(
    'an owner that drains hands over at once',
    async () => {
      await ownedBy(second());
      await load.accepts(50, RECOVERY_MS);
      await bothConsume();
      expect(await second().process.end('SIGTERM')).toBe(0);
      await second().process.start();
      recoveries['drain of the owner'] = await load.flows(RECOVERY_MS);
      await ownedBy(first());
      await judge.recovers({ repeatsMax: REPEATS });
    },
    TEST_MS,
  );

  it(
    'an owner that was paused beyond its lease is fenced when it wakes, and its consumers go on',
    async () => {
      await ownedBy(first());
      const { epoch } = await status(second(), SUBSCRIPTION);
      await load.accepts(50, RECOVERY_MS);
      await bothConsume();
      first().process.signal('SIGSTOP');
      recoveries['pause of the owner'] = await load.flows(RECOVERY_MS);
      await ownedBy(second());
      first().process.signal('SIGCONT');
      await judge.recovers({ repeatsMax: REPEATS });
      const now = await status(first(), SUBSCRIPTION);
      expect(now).toMatchObject({ ownerMember: second().member, consumers: 2 });
      expect(now.epoch).toBeGreaterThan(epoch);
    },
    TEST_MS,
  );
});
