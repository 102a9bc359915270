import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  Settle_Outcome,
  type SubscribeRequest,
  type SubscribeRequestSchema,
} from '@eventmesh/proto-gen/subscriber';
import { AsyncQueue } from '@eventmesh/rpc';
import { EventView, type Delivery, type MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 60_000;
const KIB = 1024;

const workspace = new Workspace();
let site: OneSite;
let publisher: MeshClient;

beforeAll(async () => {
  site = await OneSite.start(workspace.folder);
  publisher = site.client('publisher');
}, 60_000);

afterAll(async () => {
  await site?.stop();
  await workspace.remove();
});

const publish = async (topic: string, ids: readonly string[], bytes: number): Promise<void> => {
  for (const id of ids) {
    const event = { id, source: `/${topic}`, type: 't', data: new Uint8Array(bytes) };
    await publisher.publish(topic, event);
  }
};

const create = (name: string, topicFilter: string) =>
  site
    .client('subscriber')
    .subscriptions.createSubscription({ subscription: { name, topicFilters: [topicFilter] } });

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => String(from + at));

async function http(
  method: string,
  path: string,
  body?: object,
  type = 'application/json',
): Promise<Answer> {
  const response = await fetch(`${site.http}${path}`, {
    method,
    headers: {
      authorization: site.authorization('admin'),
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly field?: string;
    readonly reason?: string;
    readonly limit?: string;
    readonly settled?: number;
    readonly deliveries?: readonly {
      readonly id: number;
      readonly ingressTimeUs: number;
      readonly event: { readonly id: string; readonly expirytime?: string };
    }[];
  };
}

/** A consumer over gRPC with credit of its own making, and what it was given. */
function consume(
  subscription: string,
  consumer: string,
  credit: { events: number; bytes: number },
) {
  const requests = new AsyncQueue<MessageInitShape<typeof SubscribeRequestSchema>>();
  const give = ({ events, bytes }: typeof credit) => ({ events, bytes: BigInt(bytes) });
  requests.push({
    message: {
      case: 'open',
      value: {
        subscription: { case: 'name', value: subscription },
        consumer,
        credit: give(credit),
      },
    },
  });
  const got: { readonly id: bigint; readonly event: string }[] = [];
  const responses = site
    .client('subscriber')
    .subscriptions.subscribe(requests as AsyncIterable<SubscribeRequest>);
  const opened = Promise.withResolvers<undefined>();
  void (async () => {
    for await (const { message } of responses) {
      if (message.case === 'opened') opened.resolve(undefined);
      if (message.case !== 'deliveries') continue;
      for (const { id, event } of message.value.deliveries)
        got.push({ id, event: event?.id ?? '' });
    }
  })().catch(opened.reject);
  return {
    opened: opened.promise,
    events: () => got.map(({ event }) => event),
    credit: (more: typeof credit) =>
      requests.push({ message: { case: 'credit', value: give(more) } }),
    accept: () => {
      const value = { ids: got.map(({ id }) => id), outcome: Settle_Outcome.ACCEPT };
      requests.push({ message: { case: 'settle', value } });
    },
    leave: () => requests.end(),
  };
}

describe('a credit in bytes', () => {
  it(
    'over gRPC is never exceeded by more than the event that uses it up, whatever else is there',
    async () => {
      await create('by-bytes', 'bytes/grpc');
      const small = consume('by-bytes', 'small', { events: 100, bytes: 5 * KIB });
      await small.opened;
      // 2 KiB and some each: two fit, the third uses up the rest.
      await publish('bytes/grpc', numbered(1, 3), 2 * KIB);
      await eventually(() => expect(small.events()).toEqual(['1', '2', '3']));
      // Consumers take turns: had it bytes left, it would get every other one of these.
      const large = consume('by-bytes', 'large', { events: 100, bytes: 0 });
      await large.opened;
      await publish('bytes/grpc', numbered(4, 9), 2 * KIB);
      await eventually(() => expect(large.events()).toEqual(numbered(4, 9)));
      expect(small.events()).toEqual(['1', '2', '3']);
      // Settling gives nothing back by itself.
      small.accept();
      large.accept();
      large.leave();
      await eventually(async () => {
        const name = 'by-bytes';
        const { status } = await site.client('subscriber').subscriptions.getSubscription({ name });
        expect(status).toMatchObject({ delivered: 9n, consumers: 1 });
      });
      await publish('bytes/grpc', numbered(10, 12), 2 * KIB);
      small.credit({ events: 0, bytes: 3 * KIB });
      await eventually(() => expect(small.events()).toEqual(['1', '2', '3', '10']));
      const other = consume('by-bytes', 'other', { events: 100, bytes: 0 });
      await eventually(() => expect(other.events()).toEqual(['11', '12']));
      expect(small.events()).toEqual(['1', '2', '3', '10']);
      small.leave();
      other.leave();
    },
    TEST_MS,
  );

  it(
    'of the SDK and of the CLI comes back as events are settled',
    async () => {
      await create('by-sdk', 'bytes/sdk');
      const subscriber = site
        .client('subscriber')
        .subscribe({ subscription: 'by-sdk', creditBytes: 5 * KIB });
      const deliveries = subscriber[Symbol.asyncIterator]();
      const first = deliveries.next();
      await subscriber.opened;
      await publish('bytes/sdk', numbered(1, 9), 2 * KIB);
      const got = [(await first).value];
      while (got.length < 3) got.push((await deliveries.next()).value);
      const fourth = deliveries.next();
      // Consumers take turns: had the first one bytes left, it would get every other one of these.
      const other = consume('by-sdk', 'other', { events: 100, bytes: 0 });
      await eventually(() => expect(other.events()).toEqual(numbered(4, 9)));
      other.accept();
      other.leave();
      for (const delivery of got) delivery?.accept();
      await publish('bytes/sdk', ['10'], 2 * KIB);
      const { value: next } = await fourth;
      expect(next?.event.id).toBe('10');
      next?.accept();
      // Far more than the credit goes through, and events that are larger than all of it.
      const sizes = [...numbered(11, 60).map(() => KIB), 20 * KIB, 20 * KIB, 1];
      for (const [at, size] of sizes.entries()) await publish('bytes/sdk', [`m${at}`], size);
      for (const at of sizes.keys()) {
        const { value } = await deliveries.next();
        expect(value?.event.id).toBe(`m${at}`);
        value?.accept();
      }
      await deliveries.return?.(undefined);

      await publish('bytes/sdk', numbered(61, 90), 2 * KIB);
      const { code, out } = await workspace.run(
        ...['sub', '--name', 'by-sdk', '-n', '30', '--credit-bytes', '1KiB', '--timeout', '30s'],
        ...['-o', 'json', ...site.flags('subscriber')],
      );
      expect(code).toBe(0);
      expect(out.trim().split('\n')).toHaveLength(30);
      const wrong = ['sub', 'a', '--credit-bytes', '5K', ...site.flags('subscriber')];
      expect(await workspace.run(...wrong)).toMatchObject({
        err: expect.stringContaining('write it as 512B, 64KiB'),
      });
    },
    TEST_MS,
  );

  it(
    'of one pull leaves the rest to the next ones',
    async () => {
      await create('by-parts', 'bytes/parts');
      await publish('bytes/parts', numbered(1, 6), 4 * KIB);
      const got: string[] = [];
      while (got.length < 6) {
        const path = `/v1/subscriptions/by-parts/pull?maxBytes=${10 * KIB}&waitMs=5000`;
        const { deliveries = [] } = (await http('POST', path)).body;
        expect([1, 2]).toContain(deliveries.length);
        got.push(...deliveries.map(({ event }) => event.id));
      }
      expect(got).toEqual(numbered(1, 6));
    },
    TEST_MS,
  );

  it(
    'of a pull consumer is what may wait for its next pull',
    async () => {
      await create('by-pulls', 'bytes/http');
      await publish('bytes/http', numbered(1, 20), 256 * KIB);
      const got: string[] = [];
      // 2 MiB: seven and a bit fit, so eight come at most, until all are there.
      while (got.length < 20) {
        const { body } = await http('POST', '/v1/subscriptions/by-pulls/pull?max=100&waitMs=5000');
        const deliveries = body.deliveries ?? [];
        expect(deliveries.length).toBeGreaterThan(0);
        expect(deliveries.length).toBeLessThanOrEqual(8);
        got.push(...deliveries.map(({ event }) => event.id));
      }
      expect(got).toEqual(numbered(1, 20));
    },
    TEST_MS,
  );
});

describe('a cumulative settle over HTTP', () => {
  it(
    'answers how many deliveries it has settled, not how many ids it was given',
    async () => {
      await create('settled', 'settled');
      await publish('settled', numbered(1, 5), 1);
      const ids: number[] = [];
      while (ids.length < 5) {
        const { body } = await http('POST', '/v1/subscriptions/settled/pull?waitMs=5000');
        ids.push(...(body.deliveries ?? []).map(({ id }) => id));
      }
      const settle = (given: object) =>
        http('POST', '/v1/subscriptions/settled/settle', { outcome: 'accept', ...given });
      const upTo = await settle({ ids: [ids[3]], cumulative: true });
      expect(upTo).toEqual({ status: 200, body: { settled: 4, unknown: [] } });
      const rest = await settle({ ids: [ids[0], ids[4]] });
      expect(rest).toEqual({ status: 200, body: { settled: 1, unknown: [ids[0]] } });
      expect((await settle({ ids, cumulative: true })).status).toBe(404);
    },
    TEST_MS,
  );
});

describe('the life that a publisher has named', () => {
  it(
    'is told to consumers of both protocols as the time when it ends',
    async () => {
      const lifeMs = 3_600_000;
      await create('ends-grpc', 'ends');
      await create('ends-http', 'ends');
      const event = { id: 'grpc', source: '/ends', type: 't' };
      await publisher.publish('ends', event, { expiresAfterMs: lifeMs });
      const later = {
        specversion: '1.0',
        ...event,
        id: 'http',
        expirytime: '2999-01-01T00:00:00Z',
      };
      const path = `/v1/topics/ends?expiresAfterMs=${lifeMs}`;
      const { status } = await http('POST', path, later, 'application/cloudevents+json');
      expect(status).toBe(200);
      await publisher.publish('ends', { id: 'for-ever', source: '/ends', type: 't' });

      const overGrpc: (readonly [id: string, ends: string | undefined, atMs: number])[] = [];
      const subscription = site.client('subscriber').subscribe({ subscription: 'ends-grpc' });
      for await (const delivery of subscription) {
        delivery.accept();
        const { event: got, ingressTimeUs } = delivery;
        const view = new EventView(got.bytes);
        overGrpc.push([view.id, view.text('expirytime'), Math.floor(ingressTimeUs / 1000)]);
        if (overGrpc.length === 3) break;
      }
      const overHttp: typeof overGrpc = [];
      while (overHttp.length < 3) {
        const { body } = await http('POST', '/v1/subscriptions/ends-http/pull?waitMs=5000');
        for (const { event: got, ingressTimeUs } of body.deliveries ?? []) {
          overHttp.push([got.id, got.expirytime, Math.floor(ingressTimeUs / 1000)]);
        }
      }
      expect(overHttp).toEqual(overGrpc);
      expect(overGrpc.map(([id]) => id)).toEqual(['grpc', 'http', 'for-ever']);
      for (const [id, ends, atMs] of overGrpc) {
        if (id === 'for-ever') expect(ends).toBeUndefined();
        else expect(Math.abs(Date.parse(ends ?? '') - lifeMs - atMs)).toBeLessThan(1000);
      }
    },
    TEST_MS,
  );
});

describe('a start at a time that has not come', () => {
  const timeMs = Date.parse('2999-01-01T00:00:00Z');
  const refusal = { field: 'start.timeMs', limit: expect.stringMatching(/^at most now, 2/) };

  it(
    'is refused wherever it may be given, and nothing is made',
    async () => {
      await create('there', 'there');
      const start = { kind: 'time', timeMs };
      const made = await http('POST', '/v1/subscriptions', {
        ...{ name: 'early', topicFilters: ['early'], start },
      });
      expect(made).toMatchObject({ status: 400, body: refusal });
      const sought = await http('POST', '/v1/subscriptions/there/seek', { start });
      expect(sought).toMatchObject({ status: 400, body: refusal });
      expect((await http('GET', '/v1/subscriptions/early')).status).toBe(404);

      for (const more of [{}, { mode: 'broadcast' as const }, { ephemeral: true }]) {
        const spec = { name: 'early', topicFilters: ['early'], ...more };
        const subscription = { ...spec, start: { kind: 'time' as const, timeMs } };
        const stream = site.client('subscriber').subscribe({ subscription });
        const consumed = stream[Symbol.asyncIterator]().next();
        await expect(consumed).rejects.toMatchObject({
          code: 'InvalidArgument',
          message: expect.stringContaining('has not come; begin at latest, then'),
        });
      }
      const { code, err } = await workspace.run(
        ...['subscriptions', 'create', 'early', 'early', '--from', '2999-01-01'],
        ...site.flags('admin'),
      );
      expect(code).not.toBe(0);
      expect(err).toContain('2999-01-01T00:00:00.000Z has not come');
    },
    TEST_MS,
  );
});

describe('a direct event whose life ends while its consumer is busy', () => {
  it(
    'is not delivered any more, and counted as expired',
    async () => {
      const spec = { name: 'brief', topicFilters: ['brief'], deliveryClass: 'direct' as const };
      const stream = site.client('subscriber').subscribe({ subscription: spec, credit: 1 });
      const got: Delivery[] = [];
      const ended = (async () => {
        for await (const delivery of stream) got.push(delivery);
      })();
      await stream.opened;
      const publishOne = (id: string, expirytime?: string) =>
        publisher.publish(
          'brief',
          {
            id,
            source: '/brief',
            type: 't',
            extensions: expirytime === undefined ? {} : { expirytime },
          },
          { deliveryClass: 'direct' },
        );
      await publishOne('first');
      await eventually(() => expect(got).toHaveLength(1));
      const endMs = Date.now() + 200;
      await publishOne('over', '2020-01-01T00:00:00Z');
      await publishOne('ends', new Date(endMs).toISOString());
      await publishOne('lives');
      await eventually(() => expect(Date.now()).toBeGreaterThan(endMs));
      got[0]?.accept();
      await eventually(() => expect(got.map(({ event }) => event.id)).toEqual(['first', 'lives']));
      const expired = { tenant: 'default', subscription: 'brief' };
      expect(await site.metric('eventmesh_subscription_expired_total', expired)).toBe(2);
      stream.close();
      await ended;
    },
    TEST_MS,
  );
});

describe('what the direct class cannot do', () => {
  it(
    'is refused wherever it is asked for, with the way out, and nothing is made',
    async () => {
      const spec = { name: 'swift', topicFilters: ['swift'], deliveryClass: 'direct' as const };
      const asked = [
        ['start', 'start', { start: { kind: 'earliest' as const } }],
        ['ordered', 'ordered', { ordered: true }],
        ['retry.attemptsMax', 'retry.attempts_max', { retry: { attemptsMax: 3 } }],
      ] as const;
      for (const [field, overGrpc, more] of asked) {
        const made = await http('POST', '/v1/subscriptions', { ...spec, ...more });
        expect(made).toMatchObject({ status: 400, body: { field, reason: 'DIRECT_CLASS' } });
        const stream = site.client('subscriber').subscribe({ subscription: { ...spec, ...more } });
        await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({
          code: 'InvalidArgument',
          message: expect.stringContaining('or make the subscription durable'),
          details: { field: overGrpc, reason: 'DIRECT_CLASS' },
        });
      }
      expect((await http('GET', '/v1/subscriptions/swift')).status).toBe(404);
      const { code, err } = await workspace.run(
        ...['subscriptions', 'create', 'swift', 'swift', '--direct', '--no-dead-letter'],
        ...site.flags('admin'),
      );
      expect(code).not.toBe(0);
      expect(err).toContain('dead_letter: has no effect on the direct class');

      expect((await http('POST', '/v1/subscriptions', spec)).status).toBe(201);
      const update = (more: object) =>
        http('PUT', '/v1/subscriptions/swift', { topicFilters: ['swift/#'], ...more });
      expect(await update({ ordered: true })).toMatchObject({ body: { field: 'ordered' } });
      expect((await update({})).status).toBe(200);
    },
    TEST_MS,
  );
});
