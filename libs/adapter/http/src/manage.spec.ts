import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import { Metrics } from '@eventmesh/telemetry';
import { call, makeAdapter, openSse, raw, type Answer, type Call } from './testing/http-client.ts';

let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;
const metrics = new Metrics();

beforeEach(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh, {}, [], metrics);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
});

afterEach(async () => {
  await adapter.stop();
  mesh.close();
});

const api = async (
  method: string,
  path: string,
  body?: unknown,
  more: Partial<Call> = {},
): Promise<[number, unknown]> => {
  const answer = await call(address, {
    method,
    path,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...more,
  });
  return [answer.status, answer.text === '' ? undefined : JSON.parse(answer.text)];
};
const filters = [
  { exact: { type: 't' } },
  { sql: "region IN ('eu', 'us')" },
  { not: { data: { path: '$.total', equals: null } } },
];
const spec = { name: 'work', topicFilters: ['orders/#'], filters };

describe('/v1/subscriptions', () => {
  it('creates, shows, lists, updates and deletes', async () => {
    const created = await call(address, { path: '/v1/subscriptions', body: JSON.stringify(spec) });
    expect([created.status, created.headers.location]).toEqual([201, '/v1/subscriptions/work']);
    expect(JSON.parse(created.text)).toMatchObject({
      ...spec,
      tenant: 'acme',
      owner: 'user:alice',
    });
    expect(await api('GET', '/v1/subscriptions/work')).toMatchObject([
      200,
      { subscription: spec, status: { considered: 0, held: 0 } },
    ]);
    const changed = { topicFilters: ['a'], ackTimeoutMs: 5000 };
    expect(await api('PUT', '/v1/subscriptions/work', changed)).toMatchObject([200, changed]);
    expect(await api('DELETE', '/v1/subscriptions/work')).toEqual([204, undefined]);
    expect(await api('GET', '/v1/subscriptions/work')).toMatchObject([404, { field: 'name' }]);
  });

  it('changes what is given, and only while a revision that is given is the present one', async () => {
    const retry = { kind: 'linear', delayMs: 700, attemptsMax: 5 };
    await api('POST', '/v1/subscriptions', { ...spec, ordered: true, retry });
    const put = (body: unknown) => api('PUT', '/v1/subscriptions/work', body);
    const [, updated] = await put({ retry: { attemptsMax: 4 } });
    const wanted = { ...spec, ordered: true, retry: { ...retry, attemptsMax: 4 } };
    expect(updated).toMatchObject(wanted);
    const { revision } = updated as { readonly revision: number };
    await api('POST', '/v1/subscriptions/work/pause', { paused: true });
    expect(await put({ ordered: false, revision })).toMatchObject([409, { field: 'revision' }]);
    expect(await put({ ordered: false, revision: revision + 1 })).toMatchObject([
      200,
      { ...wanted, ordered: false, paused: true },
    ]);
    for (const wrong of [-1, 1.5, '7']) {
      expect(await put({ revision: wrong })).toMatchObject([400, { field: 'revision' }]);
    }
  });

  it('lists in pages', async () => {
    for (const name of ['a', 'b', 'c']) await api('POST', '/v1/subscriptions', { ...spec, name });
    const [, first] = await api('GET', '/v1/subscriptions?size=2');
    expect(first).toMatchObject({ items: [{ subscription: { name: 'a' } }, {}], nextToken: '2' });
    const [, rest] = await api('GET', '/v1/subscriptions?size=2&token=2');
    expect(rest).toMatchObject({ items: [{ subscription: { name: 'c' } }], nextToken: '' });
  });

  it('answers 409 to the name of another one, 403 beyond the rights, and keeps tenants apart', async () => {
    await api('POST', '/v1/subscriptions', spec);
    expect(await api('POST', '/v1/subscriptions', spec)).toMatchObject([201, spec]);
    const other = { ...spec, topicFilters: ['other'] };
    expect(await api('POST', '/v1/subscriptions', other)).toMatchObject([
      409,
      { reason: 'SUBSCRIPTION_DIFFERS', field: 'name' },
    ]);
    const reader = { authorization: 'Bearer reader' };
    expect((await api('POST', '/v1/subscriptions', { ...spec, name: 'r' }, reader))[0]).toBe(403);
    const mallory = { authorization: 'Bearer mallory' };
    expect((await api('GET', '/v1/subscriptions/work', undefined, mallory))[0]).toBe(404);
    expect((await api('DELETE', '/v1/subscriptions/work', undefined, mallory))[0]).toBe(404);
  });

  it('pauses, resumes and seeks', async () => {
    await api('POST', '/v1/subscriptions', { name: 'work', topicFilters: ['orders/#'] });
    await api('POST', '/v1/topics/orders/1', 'x');
    const stream = await openSse(address, { path: '/v1/subscriptions/work/events?ack=explicit' });
    await eventually(() => expect(stream.messages).toHaveLength(1));
    expect(await api('POST', '/v1/subscriptions/work/pause', { paused: true })).toMatchObject([
      200,
      { paused: true },
    ]);
    await api('POST', '/v1/topics/orders/2', 'x');
    expect(mesh.subscription('work').status().held).toBe(2);
    expect(stream.messages).toHaveLength(1);
    await api('POST', '/v1/subscriptions/work/pause', { paused: false });
    await eventually(() => expect(stream.messages).toHaveLength(2));
    const start = { kind: 'position', partition: 0, position: 1 };
    expect((await api('POST', '/v1/subscriptions/work/seek', { start }))[0]).toBe(200);
    await stream.ended;
    expect(JSON.parse(stream.named('ended')[0]?.data ?? '')).toMatchObject({ reason: 'SEEK' });
    const again = await openSse(address, { path: '/v1/subscriptions/work/events?ack=explicit' });
    await eventually(() => expect(again.messages).toHaveLength(2));
    await again.close();
  });
});

describe('looking at the mesh', () => {
  it('traces an event, and shows sites, ledger and topics', async () => {
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'a/b', 'ce-source': '/s', 'ce-type': 't' };
    await call(address, { path: '/v1/topics/orders/eu', method: 'POST', headers });
    expect(await api('GET', '/v1/trace/a%2Fb?source=/s')).toMatchObject([
      200,
      { steps: [{ site: 'memory', step: 'stored', topic: 'orders/eu', position: 1 }] },
    ]);
    expect(await api('GET', '/v1/trace/a%2Fb?source=/other')).toMatchObject([200, { steps: [] }]);
    expect(await api('GET', '/v1/sites')).toMatchObject([200, { site: 'memory' }]);
    expect(await api('GET', '/v1/ledger')).toMatchObject([200, { lines: [{ accepted: 1 }] }]);
    expect(await api('GET', '/v1/topics')).toMatchObject([
      200,
      { topics: [{ topic: 'orders/eu', events: 1 }] },
    ]);
  });

  it('says why, reconciles the ledger, and shows the store', async () => {
    const headers = { 'ce-specversion': '1.0', 'ce-id': 'a/b', 'ce-source': '/s', 'ce-type': 't' };
    await api('POST', '/v1/subscriptions', { name: 'work', topicFilters: ['orders/#'] });
    await api('POST', '/v1/subscriptions', { name: 'bills', topicFilters: ['bills/#'] });
    await call(address, { path: '/v1/topics/orders/eu', method: 'POST', headers });
    expect(await api('GET', '/v1/why/a%2Fb?source=/s')).toMatchObject([
      200,
      {
        answers: [
          { subject: 'work', state: 'ready', topic: 'orders/eu', position: 1 },
          { subject: 'bills', state: 'filtered' },
        ],
        unreachableSites: [],
        searches: [],
      },
    ]);
    const one = await api('GET', '/v1/why/a%2Fb?subscription=bills');
    expect(one).toMatchObject([200, { answers: [{ subject: 'bills' }] }]);
    expect(await api('GET', '/v1/why/a%2Fb?subscription=none')).toMatchObject([
      404,
      { field: 'subscription' },
    ]);
    expect((await api('GET', '/v1/why/a%2Fb?sub=bills'))[0]).toBe(400);
    expect(await api('GET', '/v1/ledger/check')).toMatchObject([
      200,
      { findings: [{ check: 'outcomes', verdict: 'ok' }, {}] },
    ]);
    expect(await api('GET', '/v1/store')).toMatchObject([
      200,
      { durability: 'memory', logs: [{ partitions: [{ first: 1, last: 1 }] }] },
    ]);
  });

  it.each([
    '/v1/store',
    '/v1/ledger/check',
    '/v1/why/1',
    '/v1/sites',
    '/v1/ledger',
    '/v1/topics',
    '/v1/trace/1',
    '/v1/subscriptions',
  ])('asks for credentials on %s', async (path) => {
    expect((await api('GET', path, undefined, { authorization: undefined }))[0]).toBe(401);
  });
});

describe('the OpenAPI document', () => {
  it('has every route but its own, with the topic as a parameter', async () => {
    const [status, document] = await api('GET', '/v1/openapi.json');
    expect(status).toBe(200);
    const { openapi, paths } = document as { openapi: string; paths: Record<string, object> };
    expect(openapi).toBe('3.1.0');
    const calls = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(calls.sort()).toEqual([
      'delete /v1/replays/{id}',
      'delete /v1/scheduled/{id}',
      'delete /v1/subscriptions/{name}',
      'get /v1/dead-letters',
      'get /v1/dead-letters/groups',
      'get /v1/dead-letters/status',
      'get /v1/dead-letters/{id}',
      'get /v1/events',
      'get /v1/ledger',
      'get /v1/ledger/check',
      'get /v1/replays',
      'get /v1/scheduled',
      'get /v1/sites',
      'get /v1/store',
      'get /v1/subscriptions',
      'get /v1/subscriptions/{name}',
      'get /v1/subscriptions/{name}/events',
      'get /v1/subscriptions/{name}/replay',
      'get /v1/topics',
      'get /v1/trace/{id}',
      'get /v1/why/{id}',
      'post /v1/dead-letters/purge',
      'post /v1/dead-letters/redrive',
      'post /v1/subscriptions',
      'post /v1/subscriptions/{name}/pause',
      'post /v1/subscriptions/{name}/pull',
      'post /v1/subscriptions/{name}/seek',
      'post /v1/subscriptions/{name}/settle',
      'post /v1/topics/{topic}',
      'put /v1/subscriptions/{name}',
    ]);
  });

  it('has a page whose files come from here alone', async () => {
    const page = await call(address, { path: '/docs/' });
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    expect(page.text).not.toMatch(/(src|href)="https?:/);
    const script = await call(address, { path: '/docs/static/swagger-ui-bundle.js' });
    expect([script.status, script.text.length > 100_000]).toEqual([200, true]);
  });

  it('has no page when that is off', async () => {
    await adapter.stop();
    adapter = makeAdapter(mesh, { docs: false });
    await adapter.start();
    address = adapter.addresses()['http'] ?? '';
    expect((await call(address, { path: '/docs' })).status).toBe(404);
    expect((await call(address, { path: '/v1/openapi.json' })).status).toBe(200);
  });
});

describe('life and limits', () => {
  it('says which address it could not take', async () => {
    const port = Number(address.split(':')[1]);
    const other = makeAdapter(mesh, { port });
    await expect(other.start()).rejects.toMatchObject({ details: { field: 'http.port' } });
    await other.stop();
  });

  it('finishes what is in flight while it drains, and refuses the rest with 503', async () => {
    const held = Promise.withResolvers<void>();
    const publish = mesh.publish.bind(mesh);
    const started = Promise.withResolvers<void>();
    mesh.publish = async (...args) => {
      const outcomes = await publish(...args);
      started.resolve();
      await held.promise;
      return outcomes;
    };
    const inFlight = call(address, { path: '/v1/topics/orders', body: 'x' });
    await started.promise;
    const [host, port] = address.split(':');
    const kept = await keptConnection(host ?? '', Number(port));
    mesh.drain();
    const late = await kept.get('/v1/sites');
    expect(late).toMatch(/^HTTP\/1.1 503 .*connection: close/is);
    expect(late).toMatch(/retry-after: 1/i);
    const drained = adapter.drain(10_000);
    held.resolve();
    expect((await inFlight).status).toBe(200);
    await drained;
    await expect(call(address, { path: '/v1/sites' })).rejects.toThrow();
  });

  it('cuts at the deadline what does not finish', async () => {
    mesh.publish = () => new Promise(() => undefined);
    const stuck = call(address, { path: '/v1/topics/orders', body: 'x' }).then(
      () => 'answered',
      () => 'cut',
    );
    await eventually(() => expect(mesh.authentications).toBe(1));
    await adapter.drain(100);
    expect(await stuck).toBe('cut');
  });

  it('refuses connections beyond its cap', async () => {
    const counted = new Metrics();
    await adapter.stop();
    adapter = makeAdapter(mesh, { connectionsMax: 1 }, [], counted);
    await adapter.start();
    address = adapter.addresses()['http'] ?? '';
    const [host, port] = address.split(':');
    const kept = await keptConnection(host ?? '', Number(port));
    const refused: string | Answer = await raw(
      address,
      'GET /v1/sites HTTP/1.1\r\nhost: x\r\n\r\n',
    ).catch(() => '');
    expect(refused).toBe('');
    const value = (name: string) => counted.value(name, { server: 'http' });
    expect(await value('eventmesh_connections')).toBe(1);
    expect(await value('eventmesh_connections_refused_total')).toBe(1);
    kept.close();
    await eventually(async () => expect(await value('eventmesh_connections')).toBe(0));
  });

  it('counts answers by route and status', async () => {
    await call(address, { path: '/v1/topics/orders', body: 'x' });
    await call(address, { path: '/v1/topics/a%23', body: 'x' });
    const value = (status: string) =>
      metrics.value('eventmesh_http_requests_total', { route: 'publish', status });
    expect(await value('200')).toBeGreaterThan(0);
    expect(await value('400')).toBeGreaterThan(0);
  });
});

/** A connection that has had one answer and stays open. */
async function keptConnection(
  host: string,
  port: number,
): Promise<{ get(path: string): Promise<string>; close(): void }> {
  const { connect } = await import('node:net');
  const socket = connect(port, host);
  socket.setEncoding('latin1');
  // The server may close it first.
  socket.on('error', () => undefined);
  const get = (path: string): Promise<string> => {
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice\r\n\r\n`);
    return new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
  };
  await get('/v1/sites');
  return { get, close: () => void socket.destroy() };
}
