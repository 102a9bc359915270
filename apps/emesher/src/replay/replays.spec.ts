import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Attachment, Delivery, DeliverySink, ReplayOptions } from '@eventmesh/adapter-api';
import { compileGrants } from '@eventmesh/clients';
import { checkSubscription, type Subscription, type SubscriptionInput } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeAttribute, encodeEvent, encodeRecord } from '@eventmesh/event';
import { Action, Principal_Kind } from '@eventmesh/proto-gen/acl';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import type { EventStore } from '@eventmesh/store-api';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir } from '@eventmesh/testing';
import { CallerSession } from '../session.ts';
import { Slots } from '../slots.ts';
import type { LaneCounts } from './lane-spec.ts';
import { Replays } from './replays.ts';

const TENANT = 'acme';
const LOG = 'events.acme';
const PARTITIONS = 2;
const dir = tempDir('replays');
let store: EventStore;
let clockMs = 1_000_000;

beforeAll(async () => {
  store = await openEmbeddedStore({ dir: dir.path, now: () => clockMs });
  await store.ensureLog({
    name: LOG,
    partitions: PARTITIONS,
    retentionMs: 0,
    retentionBytes: 0,
    duplicateWindow: 0,
  });
  // 40 events a partition, one each ten ms: orders and payments in turn, every eighth has expired.
  for (let n = 1; n <= 40; n++) {
    clockMs += 10;
    for (let partition = 0; partition < PARTITIONS; partition++) await append(partition, n);
  }
  await store.trim(LOG, 1, 11);
});

afterAll(async () => {
  await store.close();
  dir.remove();
});

function record(partition: number, n: number): { bytes: Buffer } {
  const event = encodeEvent({
    id: `${partition}-${n}`,
    source: '/s',
    type: n % 2 === 0 ? 'even' : 'odd',
    data: { kind: 'text', bytes: Buffer.from(`data ${n}`) },
  });
  const topic = n % 4 < 2 ? 'orders/eu' : 'payments/eu';
  const expiryMs = n % 8 === 0 ? 500 : 0;
  const head = { tenant: TENANT, topic, principal: 'p', originSite: 'west', destinations: [] };
  const bytes = encodeRecord({ ...head, ingressTimeUs: clockMs * 1000, expiryMs, hops: [] }, event);
  return { bytes };
}

const append = (partition: number, n: number) =>
  store.append({ log: LOG, partition, records: [record(partition, n)] });

const caller = (denied: readonly string[] = [], tenant = TENANT): CallerSession => {
  const allow = { action: Action.SUBSCRIBE, topicFilter: '#', deny: false };
  const denies = denied.map((topicFilter) => ({ ...allow, topicFilter, deny: true }));
  const grants = compileGrants([allow, ...denies]);
  const can = (action: Action, resource: string) => grants.allows(action, resource);
  return new CallerSession({
    principal: {
      $typeName: 'eventmesh.acl.v1.Principal',
      tenant,
      name: 'ada',
      roles: [],
      kind: Principal_Kind.USER,
    },
    revision: 1,
    expiresMs: 0,
    ended: new AbortController().signal,
    canPublish: (topic) => can(Action.PUBLISH, topic),
    canSubscribe: (filter) => can(Action.SUBSCRIBE, filter),
    canReceive: (topic) => can(Action.SUBSCRIBE, topic),
    can,
  });
};

const subscription = (input: Partial<SubscriptionInput>): Subscription => ({
  ...checkSubscription({ name: 'work', topicFilters: ['orders/#'], ...input }),
  tenant: TENANT,
  owner: 'user:ada',
  site: 'west',
  createdMs: 0,
  revision: 1,
  broadcastOf: '',
});

class Consumer implements DeliverySink {
  readonly deliveries: Delivery[] = [];
  readonly gaps: object[] = [];
  readonly ends: (MeshError | undefined)[] = [];
  attachment: Attachment | undefined;
  /** What to do with a delivery. Default: accept it and ask for the next one. */
  take: (delivery: Delivery) => void = ({ id }) => {
    this.attachment?.settle([id], { kind: 'accept' });
    this.attachment?.credit(1);
  };

  deliver(deliveries: readonly Delivery[]): void {
    this.deliveries.push(...deliveries);
    setImmediate(() => deliveries.forEach((delivery) => this.take(delivery)));
  }
  gap(gap: object): void {
    this.gaps.push(gap);
  }
  refused(): void {}
  ended(reason: MeshError | undefined): void {
    this.ends.push(reason);
  }

  /** Positions of a partition, in the order delivered. */
  positions(partition: number): number[] {
    return this.deliveries
      .filter((each) => each.partition === partition)
      .map(({ position }) => position);
  }
}

interface Counted extends LaneCounts {
  replays: Replays;
}

function replays(spec: Partial<SubscriptionInput> = {}, lanesMax = 4, log = LOG): Counted {
  const known = subscription(spec);
  const counts = { delivered: 0, filtered: 0, expired: 0, dropped: 0 };
  const made = new Replays({
    store,
    logName: () => log,
    now: () => clockMs,
    monotonicNow: () => performance.now(),
    random: () => 0.5,
    heldMax: 1024,
    retryWindow: 16,
    readAheadBytes: 65_536,
    logger: createLogger({ level: 'silent', service: 'test' }),
    admin: {
      find: ({ principal }, name) => {
        if (name === known.name && principal.tenant === TENANT) return known;
        throw new MeshError('NotFound', `there is no subscription "${name}"`);
      },
    },
    slots: new Slots({ max: lanesMax, maxPerTenant: lanesMax }, 'replay lanes', 'REPLAYS_MAX'),
    onDelivered: () => undefined,
    onCounted: (_, since) => {
      counts.delivered += since.delivered;
      counts.filtered += since.filtered;
      counts.expired += since.expired;
      counts.dropped += since.dropped;
    },
  });
  return Object.assign(counts, { replays: made });
}

const ALL: ReplayOptions = { from: { kind: 'earliest' }, toMs: 0, rateMax: 0, expired: false };

async function run(
  { replays: made }: Counted,
  options: Partial<ReplayOptions> = {},
  consumer = new Consumer(),
  session = caller(),
): Promise<Consumer> {
  const replay = { ...ALL, ...options };
  const asked = { subscription: 'work', replay, creditEvents: 8 };
  consumer.attachment = await made.open(session, asked, consumer);
  await eventually(() => expect(consumer.ends).toHaveLength(1));
  return consumer;
}

const orders = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n).filter((n) => n % 4 < 2 && n % 8 !== 0);

describe('a replay lane', () => {
  it('delivers the past that topic and time match, partition by partition, and ends complete', async () => {
    const some = replays();
    const { deliveries, ends, gaps, ...consumer } = await run(some);
    expect(ends).toEqual([undefined]);
    expect(gaps).toEqual([]);
    expect(deliveries.map(({ partition, position }) => [partition, position])).toEqual([
      ...orders(1, 40).map((position) => [0, position]),
      ...orders(11, 40).map((position) => [1, position]),
    ]);
    expect(consumer.attachment?.replayId).toMatch(/^[0-9a-f]{16}$/);
    const [first] = deliveries;
    const event = new EventView(first?.event ?? Buffer.of());
    expect(event.text('meshreplay')).toBe(consumer.attachment?.replayId);
    expect(Buffer.from(event.data?.bytes ?? []).toString()).toBe('data 1');
  });

  it('accounts for everything it looked at', async () => {
    const { replays: made, ...counts } = await (async () => {
      const some = replays();
      await run(some);
      return some;
    })();
    expect(counts).toEqual({
      delivered: orders(1, 40).length + orders(11, 40).length,
      filtered: 20 + 15,
      expired: 5 + 4,
      dropped: 0,
    });
    expect(await made.list(caller())).toEqual([]);
  });

  it('delivers what has expired when asked to', async () => {
    const consumer = await run(replays(), { expired: true });
    expect(consumer.positions(0)).toContain(8);
    expect(consumer.positions(0)).toHaveLength(20);
  });

  it('counts credit in bytes by what goes out, its mark included', async () => {
    const [one, two] = (await run(replays())).deliveries;
    const consumer = new Consumer();
    consumer.take = () => undefined;
    const asked = { subscription: 'work', replay: ALL, creditEvents: 8 };
    const creditBytes = (one?.event.length ?? 0) + (two?.event.length ?? 0);
    const lane = await replays().replays.open(caller(), { ...asked, creditBytes }, consumer);
    await eventually(() => expect(consumer.deliveries.length).toBeGreaterThan(1));
    expect(consumer.deliveries).toHaveLength(2);
    lane.credit(0, 1);
    await eventually(() => expect(consumer.deliveries).toHaveLength(3));
    await lane.detach();
  });

  it.each<[string, Partial<ReplayOptions>, number[], number[]]>([
    ['a position', { from: { kind: 'position', partition: 0, position: 36 } }, [36, 37], []],
    ['a time', { from: { kind: 'time', timeMs: 1_000_370 } }, [37], [37]],
    [
      'a time to a time',
      { from: { kind: 'time', timeMs: 1_000_330 }, toMs: 1_000_370 },
      [33, 36],
      [33, 36],
    ],
    ['behind an event', { from: { kind: 'after', source: '/s', id: '0-36' } }, [37], [36, 37]],
    ['now', { from: { kind: 'latest' } }, [], []],
    ['a time to come', { from: { kind: 'time', timeMs: 9_000_000 } }, [], []],
  ])('goes from %s', async (_, options, zero, one) => {
    const consumer = await run(replays(), options);
    expect([consumer.positions(0), consumer.positions(1)]).toEqual([zero, one]);
    expect(consumer.ends).toEqual([undefined]);
  });

  it.each<[string, Partial<ReplayOptions>, object[]]>([
    [
      'a position that is gone',
      { from: { kind: 'position', partition: 1, position: 4 } },
      [{ partition: 1, from: 4, to: 10 }],
    ],
    [
      'a time before what is left',
      { from: { kind: 'time', timeMs: 1 } },
      [{ partition: 1, from: 1, to: 10 }],
    ],
    [
      'a time to a time of which nothing is left',
      { from: { kind: 'time', timeMs: 1 }, toMs: 1_000_050 },
      [{ partition: 1, from: 1, to: 10 }],
    ],
  ])('tells of a gap when it goes from %s', async (_, options, gaps) => {
    const consumer = await run(replays(), options);
    expect(consumer.gaps).toEqual(gaps);
    expect(consumer.ends).toEqual([undefined]);
  });

  it('previews what it then delivers', async () => {
    for (const options of [{}, { expired: true }, { from: { kind: 'time', timeMs: 1 } } as const]) {
      const some = replays({ filters: [{ exact: { type: 'odd' } }] });
      const preview = await some.replays.preview(caller(), 'work', { ...ALL, ...options });
      const consumer = await run(some, options);
      const mark = encodeAttribute('meshreplay', { kind: 'string', value: '0'.repeat(16) }).length;
      const bytes = consumer.deliveries.reduce((sum, { event }) => sum + event.length, 0);
      expect(preview.events).toBe(consumer.deliveries.length);
      expect(bytes - preview.bytes).toBe(consumer.deliveries.length * mark);
      expect(preview.considered).toBe(some.delivered + some.filtered + some.expired);
      expect(preview.gaps).toEqual(consumer.gaps);
    }
  });

  it('gives a preview up when it is no longer wanted', async () => {
    const some = replays();
    const gone = AbortSignal.abort();
    await expect(some.replays.preview(caller(), 'work', ALL, gone)).rejects.toMatchObject({
      code: 'Cancelled',
    });
    await run(replays({}, 1));
  });

  it('withholds topics that the caller may not have, and counts them', async () => {
    const some = replays({ topicFilters: ['orders/+', 'payments/+'] });
    const session = caller(['payments/eu']);
    const preview = await some.replays.preview(session, 'work', ALL);
    const consumer = await run(some, {}, new Consumer(), session);
    expect(new Set(consumer.deliveries.map(({ topic }) => topic))).toEqual(new Set(['orders/eu']));
    expect(some.dropped).toBeGreaterThan(0);
    expect(preview.events).toBe(consumer.deliveries.length);
  });

  it('delivers again what is released, drops what is rejected, and keeps no dead letter', async () => {
    const some = replays({ retry: { kind: 'linear', delayMs: 0, attemptsMax: 3 } });
    const consumer = new Consumer();
    consumer.take = ({ id, position, attempt }) => {
      const outcome =
        position === 37
          ? ({ kind: 'reject', reason: 'bad' } as const)
          : attempt < 3
            ? ({ kind: 'release' } as const)
            : ({ kind: 'accept' } as const);
      consumer.attachment?.settle([id], outcome);
      consumer.attachment?.credit(1);
    };
    await run(some, { from: { kind: 'position', partition: 0, position: 36 } }, consumer);
    const of = (position: number) =>
      consumer.deliveries.filter((each) => each.position === position).map((each) => each.attempt);
    expect([of(36), of(37)]).toEqual([[1, 2, 3], [1]]);
    expect([some.delivered, some.dropped]).toEqual([1, 1]);
  });

  it('never delivers more than the credit', async () => {
    const some = replays();
    const consumer = new Consumer();
    consumer.take = () => undefined;
    const asked = { subscription: 'work', replay: ALL, creditEvents: 3 };
    consumer.attachment = await some.replays.open(caller(), asked, consumer);
    await eventually(() => expect(consumer.deliveries).toHaveLength(3));
    consumer.attachment.credit(2);
    await eventually(() => expect(consumer.deliveries).toHaveLength(5));
    await consumer.attachment.detach();
    expect(consumer.ends).toEqual([]);
    expect(await some.replays.list(caller())).toEqual([]);
  });

  it('takes credit back, and goes on with what is given then', async () => {
    const consumer = new Consumer();
    consumer.take = () => undefined;
    const asked = { subscription: 'work', replay: ALL, creditEvents: 3 };
    const lane = await replays().replays.open(caller(), asked, consumer);
    await eventually(() => expect(consumer.deliveries).toHaveLength(3));
    lane.settle([consumer.deliveries[2]?.id ?? 0], { kind: 'return' });
    await lane.drain();
    lane.credit(1);
    await lane.drain();
    const [, , third, again] = consumer.deliveries.map(({ position, attempt }) => ({
      position,
      attempt,
    }));
    expect([consumer.deliveries.length, again]).toEqual([4, third]);
    await lane.detach();
  });

  it('reads no further than it may hold while its consumer takes nothing', async () => {
    const long = 'events.long';
    await store.ensureLog({
      name: long,
      partitions: 1,
      retentionMs: 0,
      retentionBytes: 0,
      duplicateWindow: 0,
    });
    for (let batch = 0; batch < 4; batch++) {
      const records = Array.from({ length: 1000 }, () => record(0, 1));
      await store.append({ log: long, partition: 0, records });
    }
    const some = replays({}, 4, long);
    const consumer = new Consumer();
    consumer.attachment = await some.replays.open(
      caller(),
      { subscription: 'work', replay: ALL },
      consumer,
    );
    const lag = async () => (await some.replays.list(caller()))[0]?.lag ?? 0;
    await eventually(async () => expect(await lag()).toBeLessThan(4000));
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await lag()).toBeGreaterThan(1000);
    consumer.attachment.credit(4000);
    await eventually(() => expect(consumer.ends).toHaveLength(1));
    expect(consumer.deliveries).toHaveLength(4000);
  });

  it('is listed and stopped by its id, within the tenant', async () => {
    const some = replays();
    const consumer = new Consumer();
    const asked = { subscription: 'work', replay: ALL, consumer: 'c-1' };
    consumer.attachment = await some.replays.open(caller(), asked, consumer);
    const id = consumer.attachment.replayId ?? '';
    await eventually(async () => {
      const [lane] = await some.replays.list(caller(), 'work');
      expect(lane).toMatchObject({
        id,
        subscription: 'work',
        consumer: 'c-1',
        delivered: 0,
        lag: 0,
      });
    });
    expect(await some.replays.list(caller(), 'other')).toEqual([]);
    expect(await some.replays.list(caller([], 'evil'))).toEqual([]);
    await expect(some.replays.stop(caller([], 'evil'), id)).rejects.toMatchObject({
      code: 'NotFound',
    });
    await some.replays.stop(caller(), id);
    expect(consumer.ends).toEqual([expect.objectContaining({ reason: 'REPLAY_STOPPED' })]);
    await expect(some.replays.stop(caller(), id)).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('is bounded in number, previews included, and a place is free again after each', async () => {
    const some = replays({}, 1);
    const asked = { subscription: 'work', replay: ALL };
    const held = await some.replays.open(caller(), asked, new Consumer());
    const full = { code: 'ResourceExhausted', reason: 'REPLAYS_MAX' };
    await expect(some.replays.open(caller(), asked, new Consumer())).rejects.toMatchObject(full);
    await expect(some.replays.preview(caller(), 'work', ALL)).rejects.toMatchObject(full);
    await held.detach();
    const missing = { kind: 'after', source: '/s', id: 'never' } as const;
    await expect(run(some, { from: missing })).rejects.toMatchObject({ code: 'NotFound' });
    await run(some);
  });

  it.each<[string, object, string]>([
    ['an inline spec', { subscription: { name: 'x', topicFilters: ['#'] } }, 'InvalidArgument'],
    ['a subscription that is not there', { subscription: 'nobody' }, 'NotFound'],
    ['a rate out of bounds', { replay: { ...ALL, rateMax: 2_000_000 } }, 'InvalidArgument'],
  ])('is refused for %s', async (_, change, code) => {
    const asked = { subscription: 'work', replay: ALL, ...change };
    await expect(replays().replays.open(caller(), asked, new Consumer())).rejects.toMatchObject({
      code,
    });
  });

  it('is refused for the direct class, and without the right to consume', async () => {
    const asked = { subscription: 'work', replay: ALL };
    const direct = replays({ deliveryClass: 'direct' });
    await expect(direct.replays.open(caller(), asked, new Consumer())).rejects.toMatchObject({
      reason: 'NOT_STORED',
    });
    await expect(
      replays().replays.open(caller(['orders/#']), asked, new Consumer()),
    ).rejects.toMatchObject({ code: 'PermissionDenied' });
  });
});
