import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { Delivery, MeshClient, SubscribeOptions } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 60_000;
const KIB = 1024;
const DAY_MS = 86_400_000;

/** As `mesh dlq … -o json` and the HTTP API show them. */
interface Shown {
  readonly id: number;
  readonly subscription: string;
  readonly cause: string;
  readonly attempts: number;
  readonly redrives: number;
  readonly subscriptionGone: boolean;
  readonly eventId: string;
  readonly event: Readonly<Record<string, unknown>>;
}

const workspace = new Workspace();
let site: OneSite;

/** Runs `mesh … -o json` as the administrator and reads what it printed. */
const mesh = <T>(...args: string[]): Promise<T> =>
  workspace.json<T>(...args, ...site.flags('admin'));
let publisher: MeshClient;
const consumers: Consumer[] = [];

/** A consumer that does with each delivery what it is told. */
class Consumer {
  readonly got: string[] = [];
  readonly redrives: (string | undefined)[] = [];
  readonly #client: MeshClient;
  readonly #leave = new AbortController();
  readonly ended: Promise<void>;
  readonly opened: Promise<unknown>;

  constructor(
    subscription: SubscriptionInput,
    settle: (delivery: Delivery) => void,
    more: Pick<SubscribeOptions, 'consumer'> = {},
  ) {
    this.#client = site.client('subscriber');
    const { signal } = this.#leave;
    const stream = this.#client.subscribe({ subscription, signal, ...more });
    this.opened = stream.opened;
    this.ended = (async () => {
      for await (const delivery of stream) {
        this.got.push(delivery.event.id);
        this.redrives.push(delivery.event.text('meshredrives'));
        settle(delivery);
      }
    })().catch(() => undefined); // The stream breaks when the site is killed, or the test leaves.
    consumers.push(this);
  }

  async leave(): Promise<void> {
    this.#leave.abort();
    await this.ended;
    this.#client.close();
  }
}

const consume = async (
  subscription: SubscriptionInput,
  settle: (delivery: Delivery) => void,
  more: Pick<SubscribeOptions, 'consumer'> = {},
): Promise<Consumer> => {
  // The lease of an owner that was killed has to run out first.
  return eventually(
    async () => {
      const consumer = new Consumer(subscription, settle, more);
      await consumer.opened;
      return consumer;
    },
    { timeoutMs: 30_000 },
  );
};

const publish = (topic: string, id: string, data = 'x') =>
  publisher.publish(topic, {
    id,
    source: '/test',
    type: 'com.example.test',
    datacontenttype: 'text/plain',
    data: Buffer.from(data),
  });

const letters = async (query: Readonly<Record<string, string>> = {}) =>
  (await site.management.get<{ items: Shown[] }>('/v1/dead-letters', query)).items;
const status = async (name: string): Promise<SubscriptionStatus> => {
  const path = `/v1/subscriptions/${name}`;
  return (await site.management.get<{ status: SubscriptionStatus }>(path)).status;
};

/** considered = delivered + filtered + expired + dead-lettered + dropped + held. */
async function balances(name: string): Promise<SubscriptionStatus> {
  const books = await status(name);
  const { delivered, filtered, expired, deadLettered, dropped, held } = books;
  const sum = delivered + filtered + expired + deadLettered + dropped + held;
  expect(sum).toBe(books.considered);
  return books;
}

beforeAll(async () => {
  site = await OneSite.start(workspace.folder, {
    // Letters are durable long before a cursor is.
    delivery: { cursorInterval: '10s' },
    deadLetters: { bytesMax: '256KiB' },
  });
  publisher = site.client('publisher');
}, TEST_MS);
afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.leave();
});
afterAll(async () => {
  publisher?.close();
  await site?.stop();
  await workspace.remove();
}, TEST_MS);

describe('dead letters', () => {
  it(
    'keep what is rejected or fails sixteen times, and give it back to its subscription alone',
    async () => {
      let broken = true;
      const settle = (delivery: Delivery) => {
        if (!broken || delivery.event.id === 'good') delivery.accept();
        else if (delivery.event.id === 'poison') delivery.release();
        else delivery.reject('no such customer');
      };
      const retry = { kind: 'linear', delayMs: 1, delayMaxMs: 5 } as const;
      const billing = await consume({ name: 'billing', topicFilters: ['a/#'], retry }, settle);
      const other = await consume({ name: 'other', topicFilters: ['a/#'] }, (d) => d.accept());
      for (const id of ['bad', 'good', 'poison']) await publish('a/b', id, `data of ${id}`);

      await eventually(async () => expect(await letters()).toHaveLength(2), { timeoutMs: 20_000 });
      expect(await mesh('dlq', 'list')).toEqual([
        expect.objectContaining({
          subscription: 'billing',
          cause: 'no such customer',
          attempts: 1,
          redrives: 0,
          event: expect.objectContaining({ id: 'bad', data: 'data of bad' }),
        }),
        expect.objectContaining({ cause: 'released by the consumer', attempts: 16 }),
      ]);
      expect(billing.got.filter((id) => id === 'poison')).toHaveLength(16);
      expect(await mesh('dlq', 'groups')).toEqual([
        expect.objectContaining({ subscription: 'billing', cause: 'no such customer', count: 1 }),
        expect.objectContaining({ cause: 'released by the consumer', count: 1 }),
      ]);

      const [first] = await letters();
      expect(await mesh('dlq', 'get', String(first?.id))).toMatchObject({
        event: { id: 'bad', source: '/test', data: 'data of bad' },
      });

      // Given back while the cause is still there, it dies again and says how often it was tried.
      const [bad] = await letters({ cause: 'no such customer' });
      expect(await mesh('dlq', 'redrive', '--id', String(bad?.id))).toEqual({ redriven: 1 });
      await eventually(async () => {
        const again = await letters({ cause: 'no such customer' });
        expect(again).toEqual([
          expect.objectContaining({ redrives: 1, event: bad?.event, eventId: 'bad' }),
        ]);
      });
      broken = false;
      const redriven = await mesh('dlq', 'redrive', '--subscription', 'billing');
      expect(redriven).toEqual({ redriven: 2 });
      await eventually(async () => expect((await status('billing')).delivered).toBe(3));
      expect(billing.got.slice(-2).sort()).toEqual(['bad', 'poison']);
      expect(billing.redrives.slice(-2).sort()).toEqual(['1', '2']);
      expect(await letters()).toEqual([]);

      // The other one with the same filter saw each event once.
      expect(other.got).toEqual(['bad', 'good', 'poison']);
      expect(await balances('billing')).toMatchObject({ delivered: 3, deadLettered: 3, held: 0 });
      expect(await balances('other')).toMatchObject({ delivered: 3, filtered: 3, held: 0 });
      const ledger = await site.management.get<{
        lines: { subscription: string; accepted: number }[];
      }>('/v1/ledger');
      expect(ledger.lines.find(({ subscription }) => subscription === '')?.accepted).toBe(3);
      expect(await auditedActions()).toContain('redrive-dead-letters');
    },
    TEST_MS,
  );

  it(
    'are one for each event when the site is killed between the letter and the cursor',
    async () => {
      const spec = { name: 'crash', topicFilters: ['c/#'] };
      await consume(spec, (delivery) => delivery.reject('broken'));
      await publish('c/d', 'crashed');
      await eventually(async () => {
        expect(await letters({ subscription: 'crash' })).toHaveLength(1);
      });
      const before = await letters({ subscription: 'crash' });
      await site.process.kill();
      await site.process.start();
      expect(await letters({ subscription: 'crash' })).toEqual(before);
      // Nothing tells the new life that the event was settled: it comes again, and dies again.
      const again = await consume(spec, (delivery) => delivery.reject('broken'));
      await eventually(async () => expect((await status('crash')).deadLettered).toBe(1));
      expect(again.got).toEqual(['crashed']);
      expect(await letters({ subscription: 'crash' })).toEqual(before);
      expect(await mesh('dlq', 'purge', '--subscription', 'crash')).toEqual({ purged: 1 });
      await site.process.kill();
      await site.process.start();
      expect(await letters()).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'hold what dies at the quota, tell of it, and take it when there is room',
    async () => {
      const full = () => site.metric('eventmesh_dead_letters_full', { tenant: 'default' });
      const large = 'x'.repeat(100 * KIB);
      await consume({ name: 'large', topicFilters: ['q/#'] }, (d) => d.reject('too large'));
      const other = await consume({ name: 'bystander', topicFilters: ['q/#'] }, (d) => d.accept());
      for (const id of ['q1', 'q2', 'q3', 'q4']) await publish('q/r', id, large);
      await eventually(async () => expect(await full()).toBe(1));
      // The two that fit are kept; the others are held and are lost nowhere.
      await eventually(async () => {
        expect(await letters({ subscription: 'large' })).toHaveLength(2);
      });
      expect(await balances('large')).toMatchObject({ dropped: 0, delivered: 0 });
      expect(await mesh('dlq', 'status')).toMatchObject({ count: 2, full: true });
      // Others go on.
      await eventually(() => expect(other.got).toHaveLength(4));

      expect(await mesh('dlq', 'purge', '--subscription', 'large')).toEqual({ purged: 2 });
      await eventually(async () => {
        expect(await letters({ subscription: 'large' })).toHaveLength(2);
      });
      await eventually(async () => expect(await full()).toBe(0));
      const rest = await letters({ subscription: 'large' });
      expect(rest.map(({ eventId }) => eventId)).toEqual(['q3', 'q4']);
      expect(await balances('large')).toMatchObject({ deadLettered: 4, held: 0 });
    },
    TEST_MS,
  );
});

describe('the quota of dead letters', () => {
  it(
    'is what governance says of the tenant, and the configuration again without that',
    async () => {
      const status = () => mesh<Record<string, unknown>>('dlq', 'status');
      const quota = (...args: string[]) =>
        workspace.run('catalogue', 'dead-letters', ...args, ...site.flags('admin'));
      await mesh('dlq', 'purge', '--all');
      expect(await status()).toMatchObject({ bytesMax: 256 * KIB, retentionMs: 30 * DAY_MS });
      const bytes = String(100 * KIB);
      const put = await quota('put', '--bytes', bytes, '--retention', '90d', '--alarm', '50');
      expect(put).toMatchObject({ code: 0 });
      expect(await mesh('catalogue', 'dead-letters')).toEqual({
        tenant: 'default',
        bytesMax: 100 * KIB,
        retentionMs: 90 * DAY_MS,
        alarmPercent: 50,
      });
      await eventually(async () => {
        const governed = { bytesMax: 100 * KIB, alarmBytes: 50 * KIB, retentionMs: 90 * DAY_MS };
        expect(await status()).toMatchObject({ ...governed, full: false, alarm: false });
      });
      await consume({ name: 'governed', topicFilters: ['g/#'] }, (d) => d.reject('too large'));
      await publish('g/r', 'g1', 'x'.repeat(60 * KIB));
      await publish('g/r', 'g2', 'x'.repeat(60 * KIB));
      await eventually(async () => expect(await status()).toMatchObject({ full: true, count: 1 }));
      await eventually(
        async () => {
          const tenant = { tenant: 'default' };
          expect(await site.metric('eventmesh_dead_letters_alarm', tenant)).toBe(1);
          expect(await site.metric('eventmesh_dead_letters_bytes_max', tenant)).toBe(100 * KIB);
        },
        { timeoutMs: 20_000 },
      );
      // What governance says is kept, and holds after a restart, too.
      await site.process.kill();
      await site.process.start();
      expect(await status()).toMatchObject({ bytesMax: 100 * KIB, count: 1 });
      await consume({ name: 'governed', topicFilters: ['g/#'] }, (d) => d.reject('too large'));
      expect(await quota('delete')).toMatchObject({ code: 0 });
      await eventually(async () => {
        expect(await status()).toMatchObject({ bytesMax: 256 * KIB, count: 2, full: false });
      });
      expect(await auditedActions()).toEqual(
        expect.arrayContaining(['put-dead-letter-quota', 'delete-dead-letter-quota']),
      );
      const refused = await quota('put', '--bytes', '1000');
      expect(refused.code).not.toBe(0);
      await mesh('dlq', 'purge', '--subscription', 'governed');
    },
    TEST_MS,
  );
});

describe('the dead letters of a subscription that was changed, or deleted and made again', () => {
  const subscriptions = async (...args: string[]) => {
    const done = await workspace.run('subscriptions', ...args, ...site.flags('admin'));
    expect(done).toMatchObject({ code: 0 });
  };
  const redrive = (name: string) => mesh('dlq', 'redrive', '--subscription', name);
  const reject = async (spec: SubscriptionInput, reason: string, ids: readonly string[] = []) => {
    const consumer = await consume(spec, (delivery) => delivery.reject(reason));
    for (const id of ids) await publish(spec.topicFilters[0] ?? '', id);
    return consumer;
  };
  const open = async (name: string) => (await letters({ subscription: name })).length;

  it(
    'stay, and are told apart, until there is one that can get them',
    async () => {
      const name = 'reused';
      const spec = { name, topicFilters: ['reused/x'] };
      const first = await reject(spec, 'no such customer', ['r1', 'r2']);
      await eventually(async () => expect(await open(name)).toBe(2));
      await first.leave();

      await subscriptions('update', name, 'reused/y');
      expect(await redrive(name)).toEqual({ redriven: 0, unmatched: 2 });
      await subscriptions('delete', name);
      expect(await redrive(name)).toEqual({ redriven: 0, missing: 2 });
      await subscriptions('create', name, 'reused/x', '--direct');
      expect(await redrive(name)).toEqual({ redriven: 0, missing: 2 });
      await subscriptions('delete', name);
      await subscriptions('create', name, 'reused/#', '--filter', 'exact:id=r2');
      expect(await redrive(name)).toEqual({ redriven: 1, unmatched: 1 });
      expect(await letters({ subscription: name })).toMatchObject([
        { eventId: 'r1', cause: 'no such customer', subscriptionGone: true },
      ]);
      const again = await consume(
        { name, topicFilters: ['reused/#'], filters: [{ exact: { id: 'r2' } }] },
        (delivery) => delivery.accept(),
      );
      await eventually(() => expect(again.got).toEqual(['r2']));
      const { out } = await workspace.run(
        ...['dlq', 'list', '--subscription', name, ...site.flags('admin')],
      );
      expect(out).toContain('reused (gone)');
      await mesh('dlq', 'purge', '--subscription', name);
    },
    TEST_MS,
  );

  it(
    'are apart from those of the new one, which gives up the same event',
    async () => {
      const name = 'lives';
      const spec = { name, topicFilters: ['lives/x'], start: { kind: 'earliest' } as const };
      const first = await reject(spec, 'no such customer', ['l1']);
      await eventually(async () => expect(await open(name)).toBe(1));
      await first.leave();
      await subscriptions('delete', name);
      await reject(spec, 'database down');
      await eventually(async () => expect(await status(name)).toMatchObject({ deadLettered: 1 }));
      expect(await letters({ subscription: name })).toMatchObject([
        { eventId: 'l1', cause: 'no such customer', subscriptionGone: true },
        { eventId: 'l1', cause: 'database down', subscriptionGone: false },
      ]);
      await mesh('dlq', 'purge', '--subscription', name);
    },
    TEST_MS,
  );

  it(
    'stay while its owner may not receive their topic',
    async () => {
      const policy = (verb: string) =>
        workspace.run(
          ...['policies', verb, 'user:subscriber', 'subscribe', 'secret/#', '--deny'],
          ...site.flags('admin'),
        );
      const spec = { name: 'secret', topicFilters: ['secret/x'] };
      const first = await reject(spec, 'not now', ['s1']);
      await eventually(async () => expect(await open('secret')).toBe(1));
      await first.leave();
      expect(await policy('put')).toMatchObject({ code: 0 });
      // The emesher knows it when its owner may not subscribe any more.
      const probe = ['subscriptions', 'create', 'probe', 'secret/x', ...site.flags('subscriber')];
      await eventually(async () => expect((await workspace.run(...probe)).code).not.toBe(0));
      expect(await redrive('secret')).toEqual({ redriven: 0, forbidden: 1 });
      expect(await open('secret')).toBe(1);
      expect(await policy('delete')).toMatchObject({ code: 0 });
      await eventually(async () => expect(await redrive('secret')).toEqual({ redriven: 1 }));
      const again = await consume(spec, (delivery) => delivery.accept());
      await eventually(() => expect(again.got).toEqual(['s1']));
    },
    TEST_MS,
  );
});

describe('the dead letters of a broadcast', () => {
  it(
    'are found by its name, under the parts of its consumers',
    async () => {
      const spec = { name: 'news', topicFilters: ['news/x'], mode: 'broadcast' } as const;
      let broken = true;
      const takers = await Promise.all(
        ['one', 'two'].map((consumer) =>
          consume(spec, (d) => (broken ? d.reject(`no, ${consumer}`) : d.accept()), { consumer }),
        ),
      );
      await publish('news/x', 'n1');
      const found = () => mesh<Shown[]>('dlq', 'list', '--subscription', 'news');
      await eventually(async () => expect(await found()).toHaveLength(2));
      expect((await found()).map(({ subscription }) => subscription).sort()).toEqual([
        'news:one',
        'news:two',
      ]);
      expect(await letters({ subscription: 'news:two' })).toHaveLength(1);
      expect(await mesh('dlq', 'groups', '--subscription', 'news')).toHaveLength(2);
      broken = false;
      expect(await mesh('dlq', 'redrive', '--subscription', 'news')).toEqual({ redriven: 2 });
      for (const taker of takers) await eventually(() => expect(taker.got).toEqual(['n1', 'n1']));
      expect(await found()).toEqual([]);
      broken = true;
      await publish('news/x', 'n2');
      await eventually(async () => expect(await found()).toHaveLength(2));
      expect(await mesh('dlq', 'purge', '--subscription', 'news')).toEqual({ purged: 2 });
    },
    TEST_MS,
  );
});

describe('a scheduled event whose publisher has lost the right', () => {
  it(
    'stays a dead letter while that is so, and is published when it is redriven afterwards',
    async () => {
      const policy = (verb: string) =>
        workspace.run(
          ...['policies', verb, 'user:publisher', 'publish', 'later/#', '--deny'],
          ...site.flags('admin'),
        );
      const consumer = await consume({ name: 'later', topicFilters: ['later/#'] }, (d) =>
        d.accept(),
      );
      const event = { id: 'later-1', source: '/test', type: 'com.example.test', data: 'as it was' };
      await publisher.publish('later/x', event, { deliverAfterMs: 3000 });
      expect(await policy('put')).toMatchObject({ code: 0 });
      await eventually(
        async () => expect(await letters({ cause: 'forbidden' })).toMatchObject([LATER]),
        { timeoutMs: 20_000 },
      );
      const redrive = () => mesh('dlq', 'redrive', '--cause', 'forbidden');
      expect(await redrive()).toEqual({ redriven: 0, forbidden: 1 });
      expect(await letters({ cause: 'forbidden' })).toHaveLength(1);
      expect(await policy('delete')).toMatchObject({ code: 0 });
      await eventually(async () => expect(await redrive()).toEqual({ redriven: 1 }));
      await eventually(() => expect(consumer.got).toEqual(['later-1']));
      expect(consumer.redrives).toEqual([undefined]);
      expect(await letters()).toEqual([]);
      expect(await redrive()).toEqual({ redriven: 0 });
      await balances('later');
    },
    TEST_MS,
  );
});

const LATER = { eventId: 'later-1', subscription: '', attempts: 0 };

async function auditedActions(): Promise<readonly string[]> {
  const entries = await mesh<{ action: string }[]>('audit');
  return entries.map(({ action }) => action);
}
