import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import { LinkService, type LinkRequest } from '@eventmesh/proto-gen/link';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import {
  Settle_Outcome,
  SubscriberService,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import {
  PublisherService as WirePublisherService,
  type PublishRequest,
} from '@eventmesh/proto-gen/wire';
import { AsyncQueue, createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import { framed, rawCall } from './raw-call.ts';
import { LINK_TOKEN, SiteProcesses } from './site-processes.ts';

const site = new SiteProcesses();
const open: Transport[] = [];

beforeAll(() => site.start(), 60_000);
afterEach(() => {
  for (const transport of open.splice(0)) transport.close();
});
afterAll(() => site.stop());

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const PUB = basic('pub', 'pubs-password');
const SUB = basic('sub', 'subs-password');

function as(authorization: string): Transport {
  const metadata = () => (authorization === '' ? {} : { authorization });
  const transport = grpcTransport({ address: site.grpc, metadata });
  open.push(transport);
  return transport;
}

const publisher = (authorization = PUB) =>
  createClient(WirePublisherService, as(authorization), PublisherService);
const subscriptions = (authorization = SUB) => createClient(SubscriberService, as(authorization));

interface Refusal {
  readonly code: MeshCode;
  readonly field?: string;
  readonly limit?: string;
  readonly reason?: string;
}

/** What the call was refused with, in the parts that are given in `wanted`. */
async function refusal(call: Promise<unknown>, wanted: Refusal): Promise<void> {
  const error = await call.then(
    (answer) => new Error(`it was answered: ${JSON.stringify(answer, (_, v) => String(v))}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MeshError)) throw error;
  const got = { code: error.code, ...error.details };
  const seen = Object.fromEntries(
    Object.keys(wanted).map((key) => [key, got[key as keyof typeof got]]),
  );
  expect({ ...seen, message: error.message }).toEqual({ ...wanted, message: expect.any(String) });
  expect(error.message).not.toBe('');
}

const EVENT = { id: '1', source: '/bad', type: 'bad.input' };
const good = encodeEvent(EVENT);

type Publish = Partial<Omit<PublishRequest, '$typeName' | '$unknown'>>;
const publish = (request: Publish, authorization = PUB) =>
  publisher(authorization).publish({ topic: 'a/b', event: good, ...request } as never);

describe('a publish', () => {
  it.each<[string, Publish, Refusal]>([
    ['without event', { event: new Uint8Array() }, { code: 'InvalidArgument' }],
    [
      'of bytes that are no event',
      { event: Buffer.from([0xff, 0xff, 0xff]) },
      { code: 'InvalidArgument', field: 'protobuf' },
    ],
    [
      'of an event without id',
      { event: encodeEvent({ ...EVENT, id: '' }) },
      { code: 'InvalidArgument', field: 'id' },
    ],
    [
      'of an event that is too large',
      { event: encodeEvent({ ...EVENT, data: { kind: 'binary', bytes: Buffer.alloc(1 << 20) } }) },
      { code: 'PayloadTooLarge', field: 'event', limit: '1048576 bytes' },
    ],
    [
      'of an event with too many attributes',
      {
        event: encodeEvent({
          ...EVENT,
          attributes: Array.from(
            { length: 65 },
            (_, n) => [`x${n}`, { kind: 'boolean', value: true }] as const,
          ),
        }),
      },
      { code: 'InvalidArgument', field: 'attributes', limit: '64 attributes' },
    ],
    ['to no topic', { topic: '' }, { code: 'InvalidArgument', field: 'topic' }],
    ['to a wildcard', { topic: 'a/+' }, { code: 'InvalidArgument', field: 'topic' }],
    ['to a reserved topic', { topic: '$mesh/x' }, { code: 'InvalidArgument', field: 'topic' }],
    ['to a topic with U+0000', { topic: 'a/\0' }, { code: 'InvalidArgument', field: 'topic' }],
    [
      'to a topic that is too long',
      { topic: `a/${'b'.repeat(1023)}` },
      { code: 'InvalidArgument', field: 'topic', limit: '1024 bytes' },
    ],
    [
      'to a topic of too many levels',
      { topic: 'a' + '/'.repeat(64) },
      { code: 'InvalidArgument', field: 'topic', limit: '64 levels' },
    ],
    [
      'to a topic without a grant',
      { topic: 'b/c' },
      { code: 'PermissionDenied', reason: 'NO_GRANT' },
    ],
    [
      'of an unknown delivery class',
      { deliveryClass: 99 as never },
      { code: 'InvalidArgument', field: 'delivery_class' },
    ],
    [
      'with a life that is no time',
      { expiresAfterMs: -1n },
      { code: 'InvalidArgument', field: 'expires_after_ms', limit: '1 to 3155760000000 ms' },
    ],
    [
      'with a life beyond any clock',
      { expiresAfterMs: (1n << 63n) - 1n },
      { code: 'InvalidArgument', field: 'expires_after_ms' },
    ],
  ])('%s is refused', (_, request, wanted) => refusal(publish(request), wanted));

  it.each([
    ['without credentials', ''],
    ['of a wrong password', basic('pub', 'guessed')],
    ['of an unknown user', basic('nobody', 'guessed')],
    ['of an unknown tenant', basic('elsewhere/pub', 'pubs-password')],
    ['of an unknown API key', 'Bearer em_1234_5678'],
    ['of a token nobody signed', 'Bearer e30.e30.'],
    ['of a scheme that is not known', 'Digest x'],
    ['of credentials that are not base64', 'Basic ***'],
  ])('%s is refused as Unauthenticated', (_, authorization) =>
    refusal(publish({}, authorization), { code: 'Unauthenticated' }),
  );

  it('batch of nothing, or of too much, is refused with the limit', async () => {
    const wanted = {
      code: 'InvalidArgument',
      field: 'events',
      limit: '1 to 4096 events',
    } as const;
    await refusal(publisher().publishBatch({ events: [] }), wanted);
    const events = Array.from({ length: 4097 }, () => ({ topic: 'a/b', event: good }));
    await refusal(publisher().publishBatch({ events }), wanted);
  });

  it('stream ends with the limit after an empty frame, and answers what came before', async () => {
    const frames = new AsyncQueue<{ events: { topic: string; event: Uint8Array }[] }>();
    let answers = 0;
    const stream = async () => {
      for await (const { outcomes } of publisher().publishStream(frames as never)) {
        answers += outcomes.length;
        if (answers === 0) frames.push({ events: [{ topic: 'a/b', event: good }] });
        else frames.push({ events: [] });
      }
    };
    await refusal(stream(), { code: 'InvalidArgument', field: 'events' });
    expect(answers).toBe(1);
  });

  it('stream answers each bad event in its place and stores the others', async () => {
    const frames = new AsyncQueue<{ events: object[] }>();
    const event = (id: string) => encodeEvent({ ...EVENT, id });
    const data = { kind: 'binary', bytes: Buffer.alloc(1 << 20) } as const;
    const large = encodeEvent({ ...EVENT, data });
    frames.push({
      events: [
        { topic: 'a/b', event: event('s1') },
        { topic: 'a/#', event: event('s2') },
        { topic: 'a/b', event: new Uint8Array() },
        { topic: 'a/b', event: event('s3'), deliveryClass: 99 },
        { topic: 'a/b', event: event('s4'), latePolicy: 99 },
        { topic: 'a/b', event: event('s5') },
      ],
    });
    frames.push({ events: [{ topic: 'a/b', event: large }] });
    frames.push({ events: [{ topic: 'a/b', event: event('s6'), deliveryClass: 99 }] });
    frames.push({ events: [{ topic: 'a/b', event: event('s7') }] });
    frames.end();
    const cases: unknown[] = [];
    for await (const { outcomes } of publisher().publishStream(frames as never)) {
      for (const { outcome } of outcomes) {
        if (outcome.case !== 'failure') cases.push(outcome.case);
        else cases.push(`${outcome.value.field} ${outcome.value.limit}`.trim());
      }
    }
    expect(cases).toEqual([
      'receipt',
      'topic',
      'specversion',
      'delivery_class',
      'late_policy',
      'receipt',
      'event 1048576 bytes',
      'delivery_class',
      'receipt',
    ]);
  });

  it('stream takes the name of its producer in the first frame only', async () => {
    const frames = new AsyncQueue<{ events: object[]; producer?: object }>();
    const item = (sequence: bigint) => ({ topic: 'a/b', event: good, sequence });
    frames.push({ events: [item(1n)], producer: { id: 'p', epoch: 1n } });
    frames.push({ events: [item(2n)], producer: { id: 'q', epoch: 1n } });
    const stream = async () => {
      for await (const answer of publisher().publishStream(frames as never)) void answer;
    };
    await refusal(stream(), { code: 'InvalidArgument', field: 'producer' });
  });
});

type Spec = Record<string, unknown>;
const create = (spec: Spec) =>
  subscriptions().createSubscription({
    subscription: { name: 'bad', topicFilters: ['a/#'], ...spec } as never,
  });

/** A filter inside as many `not` filters. */
function nested(depth: number): object {
  let filter: object = { dialect: { case: 'exact', value: { attributes: { type: 'x' } } } };
  for (let n = 0; n < depth; n++) filter = { dialect: { case: 'not', value: filter } };
  return filter;
}

describe('a subscription', () => {
  it.each<[string, Spec, Refusal]>([
    ['without name', { name: '' }, { code: 'InvalidArgument', field: 'name' }],
    ['with a path for a name', { name: '../x' }, { code: 'InvalidArgument', field: 'name' }],
    [
      'without topic filter',
      { topicFilters: [] },
      { code: 'InvalidArgument', field: 'topic_filters', limit: '1 to 64 topic filters' },
    ],
    [
      'with too many topic filters',
      { topicFilters: Array.from({ length: 65 }, (_, n) => `a/${n}`) },
      { code: 'InvalidArgument', field: 'topic_filters', limit: '1 to 64 topic filters' },
    ],
    [
      'with # in the middle',
      { topicFilters: ['a/#/b'] },
      { code: 'InvalidArgument', field: 'topic_filters[0]' },
    ],
    [
      'wider than the grant',
      { topicFilters: ['#'] },
      { code: 'PermissionDenied', reason: 'NO_GRANT' },
    ],
    ['with an empty filter', { filters: [{}] }, { code: 'InvalidArgument', field: 'filters[0]' }],
    [
      'with a filter whose expression cannot be read',
      { filters: [{ dialect: { case: 'sql', value: "type = 'a' AND" } }] },
      { code: 'InvalidArgument', field: 'filters[0].sql' },
    ],
    [
      'with a filter on data that names no path',
      { filters: [{ dialect: { case: 'data', value: { path: 'a.b', test: {} } } }] },
      { code: 'InvalidArgument', field: 'filters[0].data' },
    ],
    ['with a filter nested too deep', { filters: [nested(40)] }, { code: 'InvalidArgument' }],
    ['with a filter nested out of reach', { filters: [nested(150)] }, { code: 'InvalidArgument' }],
    [
      'with an ack timeout out of range',
      { ackTimeoutMs: 1n },
      { code: 'InvalidArgument', field: 'ack_timeout_ms', limit: '1000 to 43200000' },
    ],
    [
      'with a negative ack timeout',
      { ackTimeoutMs: -5n },
      { code: 'InvalidArgument', field: 'ack_timeout_ms' },
    ],
    [
      'with too many in flight',
      { inFlightMax: 1_000_000 },
      { code: 'InvalidArgument', field: 'in_flight_max', limit: '1 to 65536' },
    ],
    [
      'with too many attempts',
      { retry: { attemptsMax: 5000 } },
      { code: 'InvalidArgument', field: 'retry.attempts_max', limit: '1 to 1000' },
    ],
    [
      'with a retry delay that is no time',
      { retry: { delayMs: -1n } },
      { code: 'InvalidArgument', field: 'retry.delay_ms' },
    ],
    [
      'that starts before the first position',
      { start: { from: { case: 'position', value: { partition: 0, position: -7n } } } },
      { code: 'InvalidArgument', field: 'start.position' },
    ],
    [
      'that starts before time began',
      { start: { from: { case: 'timeMs', value: -1n } } },
      { code: 'InvalidArgument', field: 'start.time_ms' },
    ],
    ['of an unknown mode', { mode: 99 }, { code: 'InvalidArgument', field: 'mode' }],
    [
      'of an unknown delivery class',
      { deliveryClass: 99 },
      { code: 'InvalidArgument', field: 'delivery_class' },
    ],
  ])('%s is refused', (_, spec, wanted) => refusal(create(spec), wanted));

  it('that is not given, or not there, is told', async () => {
    const client = subscriptions();
    await refusal(client.createSubscription({}), {
      code: 'InvalidArgument',
      field: 'subscription',
    });
    const missing = { code: 'NotFound', field: 'name' } as const;
    await refusal(client.getSubscription({ name: 'nowhere' }), missing);
    await refusal(client.deleteSubscription({ name: 'nowhere' }), missing);
    await refusal(client.pauseSubscription({ name: 'nowhere', paused: true }), missing);
    await refusal(client.updateSubscription({ subscription: { name: 'nowhere' } }), missing);
    await refusal(client.seekSubscription({ name: 'nowhere' }), {
      code: 'InvalidArgument',
      field: 'start',
    });
  });
});

/** Opens a consuming stream with these messages; resolves with the cases of the answers. */
async function subscribe(
  messages: readonly unknown[],
  { end = true, until = '' }: { end?: boolean; until?: string } = {},
): Promise<string[]> {
  const requests = new AsyncQueue<SubscribeRequest>();
  for (const message of messages) requests.push({ message } as SubscribeRequest);
  if (end) requests.end();
  const cases: string[] = [];
  for await (const { message } of subscriptions().subscribe(requests)) {
    cases.push(message.case ?? '');
    if (message.case === until) requests.end();
  }
  return cases;
}

const OPEN = {
  case: 'open',
  value: {
    subscription: { case: 'spec', value: { name: 'stream', topicFilters: ['a/#'] } },
    credit: { events: 10 },
  },
};
const settleOf = (ids: readonly bigint[], more: object = {}) => ({
  case: 'settle',
  value: { ids, outcome: Settle_Outcome.ACCEPT, ...more },
});

describe('a consuming stream', () => {
  const first = { code: 'InvalidArgument', field: 'open' } as const;

  it.each<[string, readonly unknown[], Refusal]>([
    ['that ends before it opens', [], first],
    ['that begins with a settle', [settleOf([1n])], first],
    ['that begins with an empty message', [undefined], first],
    ['that opens nothing', [{ case: 'open', value: {} }], first],
    [
      'that opens an unknown name',
      [{ case: 'open', value: { subscription: { case: 'name', value: 'nowhere' } } }],
      { code: 'NotFound', field: 'name' },
    ],
    ['that opens twice', [OPEN, OPEN], { code: 'InvalidArgument', field: 'message' }],
    [
      'that settles without an outcome',
      [OPEN, settleOf([1n], { outcome: 0 })],
      { code: 'InvalidArgument', field: 'outcome' },
    ],
    [
      'that settles without ids',
      [OPEN, settleOf([])],
      { code: 'InvalidArgument', field: 'ids', limit: '1 to 65536 ids' },
    ],
    [
      'that settles too many ids',
      [
        OPEN,
        settleOf(
          Array.from({ length: 200_000 }, (_, n) => BigInt(n)),
          { cumulative: true },
        ),
      ],
      { code: 'InvalidArgument', field: 'ids', limit: '1 to 65536 ids' },
    ],
    [
      'that waits too long for convergence',
      [{ case: 'open', value: { ...OPEN.value, convergeMs: 1n << 62n } }],
      { code: 'InvalidArgument', field: 'converge_ms', limit: '0 to 60000' },
    ],
  ])('%s is refused', (_, messages, wanted) => refusal(subscribe(messages), wanted));

  it('is told which settles were refused, and lives on', async () => {
    const stale = settleOf([1n, 2n]);
    const cases = await subscribe([OPEN, stale, { case: 'credit', value: { events: 1 } }], {
      end: false,
      until: 'settleRefused',
    });
    expect(cases).toEqual(['opened', 'settleRefused']);
  });

  it('without credentials is refused as Unauthenticated', async () => {
    const stream = async () => {
      const client = subscriptions(basic('sub', 'wrong'));
      for await (const answer of client.subscribe(new AsyncQueue())) return answer;
      return undefined;
    };
    await refusal(stream(), { code: 'Unauthenticated' });
  });
});

async function link(
  messages: readonly unknown[],
  authorization = `Bearer ${LINK_TOKEN}`,
): Promise<string[]> {
  const requests = new AsyncQueue<LinkRequest>();
  for (const message of messages) requests.push({ message } as LinkRequest);
  const cases: string[] = [];
  // The input stays open: what is wrong must end the call by itself.
  for await (const { message } of createClient(LinkService, as(authorization)).link(requests)) {
    cases.push(message.case ?? '');
  }
  return cases;
}

const HELLO = { case: 'hello', value: { site: 'east', member: 'm', toSite: 'west' } };
const record = encodeRecord(
  {
    tenant: 'default',
    topic: 'a/b',
    principal: 'x',
    originSite: 'east',
    destinations: [],
    ingressTimeUs: 1,
    hops: [],
  },
  good,
);
const frame = (value: object) => ({
  case: 'frame',
  value: { tenant: 'default', partition: 0, previous: 0n, upTo: 1n, ...value },
});

describe('a link', () => {
  it.each([
    ['without token', ''],
    ['with a wrong token', 'Bearer guessed'],
    ['with the credentials of a user', SUB],
  ])('%s is refused as Unauthenticated', (_, authorization) =>
    refusal(link([HELLO], authorization), { code: 'Unauthenticated', field: 'authorization' }),
  );

  it.each<[string, readonly unknown[], Refusal]>([
    [
      'that begins without hello',
      [{ case: 'ping', value: {} }],
      { code: 'InvalidArgument', field: 'hello' },
    ],
    [
      'to another site',
      [{ ...HELLO, value: { ...HELLO.value, toSite: 'south' } }],
      { code: 'FailedPrecondition' },
    ],
    [
      'from a site that is no neighbour',
      [{ ...HELLO, value: { ...HELLO.value, site: 'north' } }],
      { code: 'FailedPrecondition', field: 'links' },
    ],
    [
      'that says nothing after hello',
      [HELLO, undefined],
      { code: 'InvalidArgument', field: 'message' },
    ],
    [
      'for a tenant that cannot be one',
      [HELLO, { case: 'resume', value: { tenant: '../x', partition: 0 } }],
      { code: 'InvalidArgument' },
    ],
    [
      'with a record that is none',
      [HELLO, frame({ records: [{ position: 1n, record: Buffer.from([0xff]) }] })],
      { code: 'InvalidArgument' },
    ],
    [
      'with a record of another tenant than its frame',
      [HELLO, frame({ tenant: 'other', records: [{ position: 1n, record }] })],
      { code: 'InvalidArgument', field: 'tenant' },
    ],
    [
      'with positions that go back',
      [HELLO, frame({ previous: 9n, records: [{ position: 3n, record }] })],
      { code: 'InvalidArgument', field: 'position' },
    ],
    [
      'that does not go on where it ended',
      [HELLO, frame({ previous: 41n, records: [{ position: 42n, record }] })],
      { code: 'Aborted' },
    ],
  ])('%s is refused', (_, messages, wanted) => refusal(link(messages), wanted));
});

const PATH = '/eventmesh.publisher.v1.PublisherService';
const STREAM = '/eventmesh.subscriber.v1.SubscriberService/Subscribe';
/** google.rpc codes. */
const [INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL] = [3, 8, 12, 13];

describe('below gRPC', () => {
  const headers = { authorization: PUB };

  it.each<[string, { path: string; body: readonly Uint8Array[] }, readonly number[]]>([
    [
      'a message that is no protobuf',
      { path: `${PATH}/Publish`, body: [framed(Buffer.from([0x0a, 0x7f, 0x01]))] },
      [INVALID_ARGUMENT],
    ],
    [
      'a stream of a message that is no protobuf',
      { path: STREAM, body: [framed(Buffer.from([0xff]))] },
      [INVALID_ARGUMENT],
    ],
    [
      'a length beyond the limit',
      { path: `${PATH}/Publish`, body: [framed(Buffer.alloc(8), 0, 0x7fffffff)] },
      [RESOURCE_EXHAUSTED],
    ],
    [
      'a compressed message without an encoding',
      { path: `${PATH}/Publish`, body: [framed(Buffer.from('no'), 1)] },
      [INTERNAL, INVALID_ARGUMENT],
    ],
    ['a call without a message', { path: `${PATH}/Publish`, body: [] }, [INTERNAL, UNIMPLEMENTED]],
    [
      'a message that ends early',
      { path: `${PATH}/Publish`, body: [framed(Buffer.from('x'), 0, 100)] },
      [INTERNAL, UNIMPLEMENTED],
    ],
    ['a method that is not there', { path: `${PATH}/Nothing`, body: [] }, [UNIMPLEMENTED]],
    ['a service that is not there', { path: '/x.Y/Z', body: [] }, [UNIMPLEMENTED]],
  ])('%s is refused', async (_, call, statuses) => {
    const { status } = await rawCall(site.grpc, { ...call, headers });
    expect(statuses).toContain(status);
  });

  it('another content type than gRPC is refused as HTTP does', async () => {
    const answer = await rawCall(site.grpc, {
      path: `${PATH}/Publish`,
      headers: { ...headers, 'content-type': 'text/html' },
      body: [Buffer.from('<p>')],
    });
    expect(answer.http).toBe(415);
  });

  it('a connection that does not speak HTTP/2 is closed', async () => {
    const [host = '', port = ''] = site.grpc.split(':');
    const socket = connectTcp(Number(port), host);
    socket.on('error', () => undefined); // A reset is as good as an end.
    socket.resume();
    socket.write(Buffer.alloc(4096, 0xff));
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
  });
});

describe('after all that the emesher', () => {
  it('still takes, stores and tells its health, and has met no fault of its own', async () => {
    const event = encodeEvent({ ...EVENT, id: 'after' });
    const { receipt } = await publish({ event });
    expect(receipt).toMatchObject({ site: 'west', duplicate: false });
    expect((await fetch(`http://${site.admin}/readyz`)).status).toBe(200);
    expect(site.running).toBe(true);
    expect(site.complaints).toEqual([]);
  });

  it('stops in order', async () => {
    expect(await site.drain()).toBe(0);
  }, 30_000);
});
