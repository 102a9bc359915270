import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { encodeEvent, type AttributeValue } from '@eventmesh/event';
import { MEMORY_USERS, MemoryMesh, eventually } from '@eventmesh/testing';
import { Metrics } from '@eventmesh/telemetry';
import type { HttpAdapterOptions, Problem } from './index.ts';
import type { SseClient } from './testing/http-client.ts';
import { call, makeAdapter, openSse } from './testing/http-client.ts';

let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;
let metrics: Metrics;
let streams: SseClient[];

async function start(change: Partial<HttpAdapterOptions> = {}): Promise<void> {
  metrics = new Metrics();
  adapter = makeAdapter(mesh, change, [], metrics);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
}

beforeEach(async () => {
  mesh = new MemoryMesh();
  streams = [];
  await start();
});

afterEach(async () => {
  await Promise.all(streams.map((stream) => stream.close()));
  await adapter.stop();
  mesh.close();
});

async function open(
  path: string,
  headers: Record<string, string> = {},
  authorization = 'Bearer alice',
): Promise<SseClient> {
  const stream = await openSse(address, { path, headers, authorization });
  streams.push(stream);
  return stream;
}

const session = () => mesh.authenticate('Bearer alice');
async function publish(
  id: string,
  change: { topic?: string; json?: string; bytes?: number } = {},
): Promise<void> {
  const { topic = 'orders/eu', json = `{"id":"${id}"}` } = change;
  const type: [string, AttributeValue] = [
    'datacontenttype',
    { kind: 'string', value: 'application/json' },
  ];
  const text = change.bytes === undefined ? json : `"${'x'.repeat(change.bytes)}"`;
  const event = encodeEvent({
    id,
    source: '/s',
    type: `com.${topic.replaceAll('/', '.')}`,
    attributes: [type],
    data: { kind: 'text', bytes: Buffer.from(text) },
  });
  const [outcome] = await mesh.publish(await session(), [{ topic, event }]);
  if (outcome instanceof MeshError) throw outcome;
}
const createWork = async (change: object = {}): Promise<void> => {
  const spec = { name: 'work', topicFilters: ['orders/#'], ...change };
  await mesh.subscriptions.create(await session(), spec);
};
const idsOf = (stream: SseClient): string[] =>
  stream.messages.map(({ data }) => (JSON.parse(data) as { id: string }).id);
const received = (stream: SseClient, ids: readonly string[]): Promise<void> =>
  eventually(() => expect(idsOf(stream)).toEqual(ids));
const status = (): { delivered: number; held: number } => mesh.subscription('work').status();

describe('GET /v1/events', () => {
  it('opens an ephemeral subscription and streams structured CloudEvents', async () => {
    const stream = await open('/v1/events?topic=orders/%2B&topic=public/%23');
    expect(stream.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    await publish('1');
    await publish('2', { topic: 'other' });
    await publish('3', { topic: 'public/a/b' });
    await received(stream, ['1', '3']);
    expect(JSON.parse(stream.messages[0]?.data ?? '')).toEqual({
      specversion: '1.0',
      id: '1',
      source: '/s',
      type: 'com.orders.eu',
      datacontenttype: 'application/json',
      data: { id: '1' },
    });
    expect(JSON.parse(stream.named('opened')[0]?.data ?? '')).toMatchObject({
      convergedSites: [],
      unreachableSites: [],
    });
  });

  it('takes a plus sign in the query as itself', async () => {
    const stream = await open('/v1/events?topic=orders/+');
    await publish('1');
    await received(stream, ['1']);
  });

  it('filters by CloudEvents filters, repeated or as a list', async () => {
    const filter = encodeURIComponent(
      '[{"prefix":{"type":"com.orders"}},{"not":{"exact":{"id":"2"}}}]',
    );
    const stream = await open(
      `/v1/events?topic=%23&filter=${filter}&filter=${encodeURIComponent('{"sql":"source = \'/s\'"}')}`,
    );
    await publish('1');
    await publish('2');
    await publish('3', { topic: 'x' });
    await publish('4');
    await received(stream, ['1', '4']);
  });

  it('vanishes with its connection', async () => {
    const stream = await open('/v1/events?topic=orders/eu');
    expect(mesh.subscriptionNames).toHaveLength(1);
    await stream.close();
    await eventually(() => expect(mesh.subscriptionNames).toHaveLength(0));
    await eventually(async () =>
      expect(await metrics.value('eventmesh_http_streams', { kind: 'sse' })).toBe(0),
    );
  });

  it('goes on behind Last-Event-ID, with no loss and no duplicate', async () => {
    const stream = await open('/v1/events?topic=orders/eu');
    await publish('1');
    await publish('2');
    await received(stream, ['1', '2']);
    const [, second] = stream.messages;
    await stream.close();
    await publish('3');
    const again = await open('/v1/events?topic=orders/eu', { 'last-event-id': second?.id ?? '' });
    await publish('4');
    await received(again, ['3', '4']);
  });

  it('is refused beyond the rights of the caller', async () => {
    const answer = await call(address, {
      path: '/v1/events?topic=orders/eu',
      authorization: 'Bearer reader',
    });
    expect([answer.status, (JSON.parse(answer.text) as Problem).reason]).toEqual([403, 'NO_GRANT']);
  });

  it('keeps JSON data with line breaks whole', async () => {
    const stream = await open('/v1/events?topic=orders/eu');
    await publish('1', { json: '{\n  "a": "\\n",\r\n  "b": [1,\n 2]\r}' });
    await eventually(() => expect(stream.messages).toHaveLength(1));
    expect(JSON.parse(stream.messages[0]?.data ?? '')).toMatchObject({
      data: { a: '\n', b: [1, 2] },
    });
  });
});

describe('GET /v1/subscriptions/{name}/events', () => {
  it('accepts what was written to the socket (ack=auto)', async () => {
    await createWork();
    const stream = await open('/v1/subscriptions/work/events');
    await publish('1');
    await received(stream, ['1']);
    await eventually(() => expect(status()).toMatchObject({ delivered: 1, held: 0 }));
  });

  it('accepts nothing by itself with ack=explicit, not even on Last-Event-ID', async () => {
    await createWork();
    const path = '/v1/subscriptions/work/events?ack=explicit';
    const stream = await open(path);
    await publish('1');
    await received(stream, ['1']);
    const id = stream.messages[0]?.id ?? '';
    await stream.close();
    const again = await open(path, { 'last-event-id': id });
    await received(again, ['1']);
    expect(status()).toMatchObject({ delivered: 0, held: 1 });
  });

  it('settles by the ids of SSE events, cumulatively', async () => {
    await createWork();
    const stream = await open('/v1/subscriptions/work/events?ack=explicit');
    for (const id of ['1', '2', '3']) await publish(id);
    await received(stream, ['1', '2', '3']);
    const settle = (body: object) =>
      call(address, { path: '/v1/subscriptions/work/settle', body: JSON.stringify(body) });
    const second = stream.messages[1]?.id;
    const answer = await settle({ ids: [second], outcome: 'accept', cumulative: true });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { settled: 2, unknown: [] }]);
    expect(status()).toMatchObject({ delivered: 2, held: 1 });
    const stale = await settle({ ids: [second], outcome: 'accept' });
    expect([stale.status, (JSON.parse(stale.text) as Problem).field]).toEqual([404, 'ids']);
  });

  it('does not let another principal settle', async () => {
    mesh.users['Bearer eve'] = {
      ...(MEMORY_USERS['Bearer alice'] ?? raise()),
      principal: { tenant: 'acme', kind: 'user', name: 'eve', roles: [] },
    };
    await createWork();
    const stream = await open('/v1/subscriptions/work/events?ack=explicit');
    await publish('1');
    await received(stream, ['1']);
    const answer = await call(address, {
      path: '/v1/subscriptions/work/settle',
      body: JSON.stringify({ ids: [stream.messages[0]?.id], outcome: 'accept' }),
      authorization: 'Bearer eve',
    });
    expect(answer.status).toBe(404);
    expect(status()).toMatchObject({ delivered: 0, held: 1 });
  });

  it('counts as accepted what the client says it has, and sends the rest again (ack=auto)', async () => {
    await adapter.stop();
    await start({ streamBytesMax: 64 * 1024 * 1024 });
    await createWork();
    // One write far bigger than what the kernels hold: it stays unflushed while parts of it arrive.
    const count = 100;
    for (let n = 0; n < count; n++) await publish(`n${n}`, { bytes: 200_000 });
    const stream = await open('/v1/subscriptions/work/events?credit=200');
    stream.onMessage = () => {
      if (stream.messages.length === 5) stream.response.destroy();
    };
    await stream.ended;
    await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(0));
    expect(status()).toMatchObject({ delivered: 0, held: count });
    const before = idsOf(stream);
    const last = stream.messages.at(-1)?.id ?? '';
    const again = await open('/v1/subscriptions/work/events', { 'last-event-id': last });
    await eventually(() => expect(status()).toMatchObject({ delivered: count, held: 0 }));
    await eventually(() => expect(before.length + again.messages.length).toBe(count));
    expect(new Set([...before, ...idsOf(again)]).size).toBe(count);
  });

  it('gives the delivery round the event with envelope=true', async () => {
    await createWork();
    const stream = await open('/v1/subscriptions/work/events?envelope=true&consumer=c1');
    await publish('1');
    await eventually(() => expect(stream.messages).toHaveLength(1));
    expect(JSON.parse(stream.messages[0]?.data ?? '')).toMatchObject({
      attempt: 1,
      topic: 'orders/eu',
      partition: 0,
      position: 1,
      originSite: 'memory',
      event: { id: '1', data: { id: '1' } },
    });
    expect(JSON.parse(stream.named('opened')[0]?.data ?? '')).toMatchObject({ consumer: 'c1' });
  });

  it('tells of a gap', async () => {
    for (const id of ['1', '2', '3']) await publish(id);
    mesh.trim(0, 3);
    await createWork({ start: { kind: 'position', partition: 0, position: 1 } });
    const stream = await open('/v1/subscriptions/work/events');
    await received(stream, ['3']);
    expect(stream.named('gap').map(({ data }) => JSON.parse(data) as unknown)).toEqual([
      { partition: 0, from: 1, to: 2 },
    ]);
  });

  it('tells why it was ended, and ends', async () => {
    await createWork();
    const stream = await open('/v1/subscriptions/work/events');
    await mesh.subscriptions.delete(await session(), 'work');
    await stream.ended;
    expect(JSON.parse(stream.named('ended')[0]?.data ?? '')).toMatchObject({ status: 404 });
  });

  it('refuses a second consumer of an exclusive subscription', async () => {
    await createWork({ mode: 'exclusive' });
    await open('/v1/subscriptions/work/events');
    const answer = await call(address, { path: '/v1/subscriptions/work/events' });
    expect((JSON.parse(answer.text) as Problem).reason).toBe('EXCLUSIVE');
  });
});

describe('a stream in time', () => {
  it('sends comments while nothing happens', async () => {
    await adapter.stop();
    await start({ heartbeat: 100 });
    const stream = await open('/v1/events?topic=a');
    await eventually(() => expect(stream.comments.length).toBeGreaterThan(1));
  });

  it('ends when the credential expires', async () => {
    await adapter.stop();
    await start({ heartbeat: 100 });
    const alice = MEMORY_USERS['Bearer alice'] ?? raise();
    mesh.users['Bearer brief'] = { ...alice, expiresMs: Date.now() + 300 };
    const stream = await open('/v1/events?topic=a', {}, 'Bearer brief');
    await stream.ended;
    expect(JSON.parse(stream.named('ended')[0]?.data ?? '')).toMatchObject({ status: 401 });
  });

  it('cuts a client that reads nothing for too long, and releases what it held', async () => {
    await adapter.stop();
    await start({ heartbeat: 100, stallMax: 300 });
    await createWork();
    const stream = await open('/v1/subscriptions/work/events?ack=explicit');
    stream.response.pause();
    for (let n = 0; n < 100; n++) await publish(`n${n}`, { bytes: 200_000 });
    await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(0));
    expect(status()).toMatchObject({ delivered: 0, held: 100 });
  });

  it('ends with a comment and a pause to come back after when the emesher drains', async () => {
    const stream = await open('/v1/events?topic=a');
    mesh.drain();
    await stream.ended;
    expect([stream.comments.at(-1), stream.retry]).toEqual(['draining', '1000']);
  });
});

describe('POST /v1/subscriptions/{name}/pull', () => {
  const pull = async (query: string): Promise<{ id: number; event: { id: string } }[]> => {
    const answer = await call(address, {
      path: `/v1/subscriptions/work/pull${query}`,
      method: 'POST',
    });
    expect(answer.status).toBe(200);
    return (JSON.parse(answer.text) as { deliveries: { id: number; event: { id: string } }[] })
      .deliveries;
  };
  const settle = (body: object) =>
    call(address, { path: '/v1/subscriptions/work/settle', body: JSON.stringify(body) });

  it('returns what there is, no more than max, and settles explicitly', async () => {
    await createWork();
    for (const id of ['1', '2', '3']) await publish(id);
    const two = await pull('?max=2&waitMs=5000');
    expect(two.map(({ event }) => event.id)).toEqual(['1', '2']);
    expect(status()).toMatchObject({ delivered: 0, held: 3 });
    expect((await settle({ ids: two.map(({ id }) => id), outcome: 'accept' })).status).toBe(200);
    expect(status()).toMatchObject({ delivered: 2, held: 1 });
  });

  it('waits for an event', async () => {
    await createWork();
    const waiting = pull('?waitMs=20000');
    await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(1));
    await publish('1');
    expect((await waiting).map(({ event }) => event.id)).toEqual(['1']);
  });

  it('gives every event to each consumer of a broadcast', async () => {
    await mesh.subscriptions.create(await session(), {
      name: 'work',
      topicFilters: ['#'],
      mode: 'broadcast',
    });
    for (const consumer of ['a', 'b']) await pull(`?consumer=${consumer}`);
    await publish('1');
    for (const consumer of ['a', 'b']) {
      const [only] = await pull(`?consumer=${consumer}&waitMs=5000`);
      expect(only?.event.id).toBe('1');
      const body = { ids: [only?.id], outcome: 'accept', consumer };
      expect((await settle(body)).status).toBe(200);
    }
  });

  it('answers an empty list in time', async () => {
    await createWork();
    expect(await pull('?waitMs=50')).toEqual([]);
  });

  it('tells with the next pull which settles turned out late to be of no use', async () => {
    await createWork();
    await pull('?max=5&waitMs=1');
    const [consumer] = mesh.subscription('work').consumers;
    consumer?.sink.refused([7, 8]);
    const path = '/v1/subscriptions/work/pull?waitMs=20000';
    const answer = await call(address, { path, method: 'POST' });
    expect(JSON.parse(answer.text)).toEqual({ deliveries: [], gaps: [], refused: [7, 8] });
    await publish('1');
    expect(await pull('?waitMs=5000')).toHaveLength(1);
  });

  it('leaves with the mesh what comes between two pulls', async () => {
    await createWork();
    await pull('?max=5&waitMs=1');
    for (const id of ['1', '2']) await publish(id);
    expect(mesh.subscription('work').unsettled).toEqual([]);
    expect((await pull('?max=5')).map(({ event }) => event.id)).toEqual(['1', '2']);
  });

  it('detaches an idle consumer and releases what it held', async () => {
    await adapter.stop();
    await start({ heartbeat: 100, pullIdleMax: 200 });
    await createWork();
    await publish('1');
    expect(await pull('?waitMs=5000')).toHaveLength(1);
    await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(0));
    expect(await pull('?waitMs=5000')).toMatchObject([{ attempt: 2 }]);
  });

  it.each([
    [{ max: 0 }, 'max', 'is not an integer within bounds'],
    [{ max: 1.5 }, 'max', 'is not an integer within bounds'],
    [{ max: '3' }, 'max', 'must be a number'],
    [{ waitMs: null }, 'waitMs', 'must be a number'],
    [{ consumer: 3 }, 'consumer', 'must be a string'],
    [{ timeoutMs: 1 }, 'timeoutMs', 'known are max, maxBytes, waitMs, consumer'],
    [{ maxBytes: 1 }, 'maxBytes', 'is in the query, too; give it once'],
    [[], 'body', 'must be a JSON object'],
  ])('refuses the body %j', async (body, field, message) => {
    await createWork();
    const path = '/v1/subscriptions/work/pull?maxBytes=1';
    const answer = await call(address, { path, body: JSON.stringify(body) });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      400,
      expect.objectContaining({ field, detail: expect.stringContaining(message) }),
    ]);
  });

  it('tells who waits that the subscription is gone', async () => {
    await createWork();
    const waiting = call(address, {
      path: '/v1/subscriptions/work/pull?waitMs=20000',
      method: 'POST',
    });
    await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(1));
    await mesh.subscriptions.delete(await session(), 'work');
    expect((await waiting).status).toBe(404);
  });
});

function raise(): never {
  throw new Error('alice is missing');
}
