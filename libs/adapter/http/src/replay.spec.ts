import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { encodeEvent } from '@eventmesh/event';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import type { SseClient } from './testing/http-client.ts';
import { call, makeAdapter, openSse } from './testing/http-client.ts';

let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;
let streams: SseClient[];

beforeEach(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh);
  streams = [];
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
  const session = await mesh.authenticate('Bearer alice');
  await mesh.subscriptions.create(session, { name: 'work', topicFilters: ['orders/#'] });
  for (let n = 1; n <= 5; n++) {
    const event = encodeEvent({ id: String(n), source: '/s', type: 't' });
    await mesh.publish(session, [{ topic: n === 3 ? 'other' : 'orders/eu', event }]);
  }
});

afterEach(async () => {
  await Promise.all(streams.map((stream) => stream.close()));
  await adapter.stop();
  mesh.close();
});

const EVENTS = '/v1/subscriptions/work/events';

async function open(path: string): Promise<SseClient> {
  const stream = await openSse(address, { path });
  streams.push(stream);
  return stream;
}

const idsOf = (stream: SseClient) =>
  stream.messages.map(({ data }) => (JSON.parse(data) as { id: string }).id);
const first = (stream: SseClient, name: string) =>
  JSON.parse(stream.named(name)[0]?.data ?? '{}') as Record<string, unknown>;

describe('a stream with replayFrom', () => {
  it('delivers the part asked for, marked, and ends with COMPLETE', async () => {
    const stream = await open(`${EVENTS}?replayFrom=0:2`);
    await stream.ended;
    expect(idsOf(stream)).toEqual(['2', '4', '5']);
    const { replayId } = first(stream, 'opened');
    for (const { data } of stream.messages) {
      expect(JSON.parse(data)).toMatchObject({ meshreplay: replayId });
    }
    expect(first(stream, 'ended')).toEqual({
      title: 'Complete',
      status: 200,
      reason: 'COMPLETE',
      detail: 'the replay is through',
    });
    // The live deliveries are where they were.
    expect(mesh.subscription('work').status()).toMatchObject({ delivered: 0, held: 4 });
  });

  it('takes every kind of start', async () => {
    for (const [from, ids] of [
      ['earliest', ['1', '2', '4', '5']],
      ['latest', []],
      ['1970-01-01T00:00:00Z', ['1', '2', '4', '5']],
      [`after:${encodeURIComponent('/s 2')}`, ['4', '5']],
    ] as const) {
      const stream = await open(`${EVENTS}?replayFrom=${from}`);
      await stream.ended;
      expect(idsOf(stream)).toEqual(ids);
    }
  });

  it('tells of a gap', async () => {
    mesh.trim(0, 3);
    const stream = await open(`${EVENTS}?replayFrom=0:1`);
    await stream.ended;
    expect(first(stream, 'gap')).toEqual({ partition: 0, from: 1, to: 2 });
    expect(idsOf(stream)).toEqual(['4', '5']);
  });

  it('is settled explicitly when asked to, and stopped by its id', async () => {
    const stream = await open(`${EVENTS}?replayFrom=earliest&ack=explicit&consumer=again`);
    await eventually(() => expect(idsOf(stream)).toEqual(['1', '2', '4', '5']));
    const ids = stream.messages.slice(0, 2).map(({ id }) => id);
    const settled = await call(address, {
      path: '/v1/subscriptions/work/settle',
      body: JSON.stringify({ ids, outcome: 'accept', consumer: 'again' }),
    });
    expect(JSON.parse(settled.text)).toEqual({ settled: 2, unknown: [] });
    const list = async () => JSON.parse((await call(address, { path: '/v1/replays' })).text);
    const { replays } = (await list()) as { replays: { id: string; delivered: number }[] };
    expect(replays).toEqual([expect.objectContaining({ consumer: 'again', delivered: 2 })]);
    const path = `/v1/replays/${replays[0]?.id}`;
    expect((await call(address, { method: 'DELETE', path })).status).toBe(204);
    await stream.ended;
    expect(first(stream, 'ended')).toMatchObject({ status: 499, reason: 'REPLAY_STOPPED' });
    expect((await call(address, { method: 'DELETE', path })).status).toBe(404);
    expect(await list()).toEqual({ replays: [] });
  });

  it.each([
    ['replayFrom', '?replayFrom=yesterday'],
    ['replayFrom', '?rateMax=5'],
    ['replayTo', '?replayFrom=earliest&replayTo=soon'],
    ['rateMax', '?replayFrom=earliest&rateMax=1000001'],
    ['replayExpired', '?replayFrom=earliest&replayExpired=maybe'],
  ])('names %s in %s', async (field, query) => {
    const answer = await call(address, { path: EVENTS + query });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ field });
  });

  it('is not resumed by a client that comes back, which is told how to go on', async () => {
    const stream = await open(`${EVENTS}?replayFrom=earliest`);
    await stream.ended;
    const answer = await call(address, {
      path: `${EVENTS}?replayFrom=earliest`,
      headers: { 'last-event-id': stream.messages.at(-1)?.id ?? '' },
    });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({
      field: 'last-event-id',
      detail: expect.stringContaining('replayFrom=partition:position'),
    });
  });
});

describe('GET /v1/subscriptions/{name}/replay', () => {
  it('counts what a replay would deliver', async () => {
    const path = '/v1/subscriptions/work/replay?from=0:2';
    const answer = await call(address, { path });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      events: 3,
      considered: 4,
      expired: 0,
      gaps: [],
    });
  });

  it.each([
    ['/v1/subscriptions/nobody/replay', 404, 'name'],
    ['/v1/subscriptions/work/replay?from=x', 400, 'from'],
    ['/v1/subscriptions/work/replay?to=x', 400, 'to'],
    ['/v1/subscriptions/work/replay?rateMax=1', 400, 'rateMax'],
  ])('%s answers %d', async (path, status, field) => {
    const answer = await call(address, { path });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ field });
  });
});

describe('seeking', () => {
  it.each([
    { kind: 'earliest' },
    { kind: 'latest' },
    { kind: 'time', timeMs: 1 },
    { kind: 'position', partition: 0, position: 2 },
    { kind: 'after', source: '/s', id: '2' },
  ])('takes %j', async (start) => {
    const body = JSON.stringify({ start });
    const answer = await call(address, { path: '/v1/subscriptions/work/seek', body });
    expect(answer.status).toBe(200);
  });
});
