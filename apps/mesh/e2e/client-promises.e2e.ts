import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Delivery, SettleRefused } from '@eventmesh/sdk';
import { eventually, startProxy, type FaultProxy } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 60_000;

const workspace = new Workspace();
const stop = new AbortController();
let site: OneSite;
let proxy: FaultProxy;

beforeAll(async () => {
  site = await OneSite.start(workspace.folder);
  proxy = await startProxy({ port: site.grpcPort });
  const direct = ['catalogue', 'topics', 'put', 'live/#', '--direct'];
  expect(await workspace.run(...direct, ...site.flags('admin'))).toMatchObject({ code: 0 });
  await eventually(async () => {
    const { durability } = await publish('live/x', 'is-it-direct-yet');
    expect(durability).toBeUndefined();
  });
}, TEST_MS);

afterAll(async () => {
  stop.abort();
  await proxy?.close();
  await site?.stop();
  await workspace.remove();
}, 30_000);

const event = (id: string) => ({ id, source: '/promises', type: 'test', data: 'x' });
const publish = (topic: string, id: string) => site.client('publisher').publish(topic, event(id));

/** The ids that a consumer is delivered, and what it is told. */
async function consumer(
  name: string,
  deliveryClass: 'durable' | 'direct',
  take: (delivery: Delivery) => void,
) {
  const got: string[] = [];
  const refused: SettleRefused[] = [];
  const subscriber = site.client('subscriber').subscribe({
    subscription: { name, topicFilters: [`${name}/#`], deliveryClass, ...ackTime(deliveryClass) },
    onRefused: (some) => refused.push(some),
    signal: stop.signal,
  });
  const ended = (async () => {
    for await (const delivery of subscriber) {
      got.push(delivery.event.id);
      take(delivery);
    }
  })();
  ended.catch(() => undefined);
  await subscriber.opened;
  return { got, refused, subscriber, ended };
}

const ackTime = (deliveryClass: string) =>
  deliveryClass === 'direct' ? {} : { ackTimeoutMs: 1000 };

const http = (method: string, path: string, body?: unknown, type = 'application/json') =>
  fetch(`${site.http}${path}`, {
    method,
    headers: { authorization: site.authorization('admin'), 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

describe('a connection that breaks before the answer', () => {
  /** Publishes what is taken, and answered into a connection that is then cut. */
  async function unanswered(
    topic: string,
    id: string,
    taken: () => void | Promise<void>,
    options: { deliveryClass?: 'durable' | 'direct' },
  ) {
    const client = site.client('publisher', proxy.port);
    await client.publish('warm/up', event(`warm-${id}`));
    proxy.stallOneWay('to-client');
    const publishing = client.publish(topic, event(id), options);
    publishing.catch(() => undefined);
    await eventually(taken);
    proxy.cut();
    proxy.heal();
    return publishing;
  }

  it.each<[string, string, { deliveryClass?: 'direct' }]>([
    ['that says it is direct', 'once', { deliveryClass: 'direct' }],
    ['that the catalogue makes direct', 'live', {}],
  ])(
    'has an event %s delivered once; the publisher is told',
    async (_, topic, options) => {
      const { got } = await consumer(topic, 'direct', (delivery) => delivery.accept());
      const taken = () => expect(got).toContain('one');
      await expect(unanswered(`${topic}/x`, 'one', taken, options)).rejects.toMatchObject({
        code: 'Unavailable',
      });
      const marker = { deliveryClass: 'direct' } as const;
      await site.client('publisher').publish(`${topic}/x`, event('marker'), marker);
      await eventually(() => expect(got).toEqual(['one', 'marker']));
    },
    TEST_MS,
  );

  it(
    'has an event that says it is durable sent again, and stored once',
    async () => {
      const { got } = await consumer('kept', 'durable', (delivery) => delivery.accept());
      const taken = () => expect(got).toEqual(['one']);
      const options = { deliveryClass: 'durable' } as const;
      await expect(unanswered('kept/x', 'one', taken, options)).resolves.toMatchObject({
        duplicate: true,
      });
      await publish('kept/x', 'marker');
      await eventually(() => expect(got).toEqual(['one', 'marker']));
    },
    TEST_MS,
  );
});

describe('a delivery that is settled in vain', () => {
  it(
    'is told to the consumer: an accept that came too late',
    async () => {
      const first: Delivery[] = [];
      const { refused } = await consumer('late', 'durable', (delivery) => {
        if (delivery.attempt === 1) first.push(delivery);
        else {
          // Its second delivery: the time of the first one is over.
          for (const late of first) late.accept();
          delivery.accept();
        }
      });
      await publish('late/x', 'too-late');
      await eventually(() => expect(refused).toHaveLength(1), { timeoutMs: 30_000 });
      expect(refused[0]?.ids).toEqual([first[0]?.id]);
      expect(refused[0]?.reason).toContain('lease');
    },
    TEST_MS,
  );

  it(
    'may have any id, and does not end the stream',
    async () => {
      const { got, refused, subscriber } = await consumer('odd', 'durable', (delivery) =>
        delivery.accept(),
      );
      const odd = [2n ** 63n - 1n, 2n ** 53n + 1n, 12_345n];
      subscriber.accept(odd);
      await eventually(() =>
        expect(refused.flatMap(({ ids }) => ids).sort()).toEqual([...odd].sort()),
      );
      await publish('odd/x', 'still-there');
      await eventually(() => expect(got).toEqual(['still-there']));
    },
    TEST_MS,
  );
});

describe('the name of a consumer', () => {
  it('is bounded for every subscription, over gRPC, HTTP and for a replay', async () => {
    const subscriber = site.client('subscriber');
    const subscription = { name: 'named', topicFilters: ['named/#'] };
    await site.client('admin').subscriptions.createSubscription({ subscription });
    const refusal = {
      code: 'InvalidArgument',
      details: { field: 'consumer', limit: '1 to 256 characters' },
    };
    const long = 'z'.repeat(300_000);
    for (const more of [{ consumer: long }, { consumer: 'a\nb' }]) {
      const live = subscriber.subscribe({ subscription: 'named', ...more });
      await expect(live[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal);
      const replay = { from: { kind: 'earliest' } } as const;
      const lane = subscriber.subscribe({ subscription: 'named', replay, ...more });
      await expect(lane[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal);
    }
    const path = `/v1/subscriptions/named/pull?consumer=${'y'.repeat(2000)}`;
    const answer = await http('POST', path);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({ field: 'consumer' }),
    ]);
    const fits = await http('POST', `/v1/subscriptions/named/pull?consumer=${'y'.repeat(256)}`);
    expect(fits.status).toBe(200);
  });
});

describe('a batch over HTTP', () => {
  it('answers 202 when nothing of it was stored, whoever said so', async () => {
    const batch = (...ids: string[]) =>
      ids.map((id) => ({ specversion: '1.0', source: '/promises', type: 'test', id }));
    const post = (topic: string, ...ids: string[]) =>
      http('POST', `/v1/topics/${topic}`, batch(...ids), 'application/cloudevents-batch+json');
    expect((await post('live/b', 'b-1', 'b-2')).status).toBe(202);
    expect((await post('stored/b', 'b-1', 'b-2')).status).toBe(200);
    expect((await http('POST', '/v1/topics/live/b', { x: 1 })).status).toBe(202);
  });
});

describe('a reject without a reason', () => {
  it(
    'is taken over gRPC and HTTP, and the dead letter says `rejected`',
    async () => {
      await consumer('unsaid', 'durable', (delivery) => delivery.reject());
      await publish('unsaid/x', 'by-grpc');
      const made = { name: 'unsaid-too', topicFilters: ['unsaid-too'] };
      expect((await http('POST', '/v1/subscriptions', made)).status).toBe(201);
      await publish('unsaid-too', 'by-http');
      const pulled = await http('POST', '/v1/subscriptions/unsaid-too/pull?waitMs=10000');
      const { deliveries } = (await pulled.json()) as { deliveries: { id: number }[] };
      const ids = deliveries.map(({ id }) => id);
      const settle = { ids, outcome: 'reject' };
      expect((await http('POST', '/v1/subscriptions/unsaid-too/settle', settle)).status).toBe(200);
      await eventually(async () => {
        const { deadLetters } = await site.deadLetters.list({});
        expect(deadLetters.map(({ eventId, cause }) => `${eventId} ${cause}`).sort()).toEqual([
          'by-grpc rejected',
          'by-http rejected',
        ]);
      });
    },
    TEST_MS,
  );
});

describe('mesh pub --lines', () => {
  it(
    'prints each receipt when it is there, while the input goes on',
    async () => {
      const flags = [...site.flags('publisher'), '-o', 'json'];
      const { run, input } = workspace.startReading('pub', 'lines/x', '--lines', ...flags);
      input.write('one\n');
      await run.until(/"topic":"lines\/x".*\n/);
      input.write('two\nthree\n');
      await run.until(/(.*\n){3}/);
      input.end('four');
      expect(await run.ended).toBe(0);
      const durabilities = run.out
        .trimEnd()
        .split('\n')
        .map(
          (line) => (JSON.parse(line) as { receipt: { durability: string } }).receipt.durability,
        );
      expect(durabilities).toEqual(['fsync', 'fsync', 'fsync', 'fsync']);
    },
    TEST_MS,
  );

  it(
    'ends at the first refusal, also when no further line comes',
    async () => {
      const flags = site.flags('subscriber');
      const { run, input } = workspace.startReading('pub', 'lines/x', '--lines', ...flags);
      input.write('one\n');
      expect(await run.ended).not.toBe(0);
      expect(run.out).toBe('0 of 1 events published to lines/x\n');
      expect(run.err).toContain('PermissionDenied');
    },
    TEST_MS,
  );
});
