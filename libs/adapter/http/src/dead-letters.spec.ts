import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { encodeEvent } from '@eventmesh/event';
import { MemoryMesh } from '@eventmesh/testing';
import { call, makeAdapter, type Call } from './testing/http-client.ts';

let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;

beforeEach(async () => {
  mesh = new MemoryMesh();
  adapter = makeAdapter(mesh);
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
): Promise<[number, Record<string, unknown>]> => {
  const answer = await call(address, {
    method,
    path,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...more,
  });
  return [answer.status, JSON.parse(answer.text) as Record<string, unknown>];
};

const event = (id: string) =>
  encodeEvent({
    id,
    source: '/s',
    type: 't',
    attributes: [['datacontenttype', { kind: 'string', value: 'application/json' }]],
    data: { kind: 'text', bytes: Buffer.from('{"n":1}') },
  });

/** Rejects so many events of a subscription, with reasons in turn. */
async function fill(reasons: readonly string[]): Promise<void> {
  const session = await mesh.authenticate('Bearer alice');
  await mesh.subscriptions.create(session, { name: 'work', topicFilters: ['orders/#'] });
  const left = [...reasons];
  const sink = {
    deliver: (deliveries: readonly { id: number }[]) => {
      for (const { id } of deliveries) {
        const reason = left.shift() ?? '';
        queueMicrotask(() => attachment.settle([id], { kind: 'reject', reason }));
      }
    },
    gap: () => undefined,
    refused: () => undefined,
    ended: () => undefined,
  };
  const attachment = await mesh.attach(session, { subscription: 'work' }, sink);
  attachment.credit(reasons.length);
  const items = reasons.map((_, n) => ({ topic: 'orders/x', event: event(`e${n + 1}`) }));
  await mesh.publish(session, items);
  await new Promise((resolve) => setImmediate(resolve));
  await attachment.detach();
}

describe('/v1/dead-letters', () => {
  it('lists in pages, with the event as JSON and byte for byte', async () => {
    await fill(['bad', 'worse', 'bad']);
    const [status, first] = await api('GET', '/v1/dead-letters?size=2');
    expect(status).toBe(200);
    expect(first).toMatchObject({
      items: [
        {
          id: 1,
          subscription: 'work',
          cause: 'bad',
          attempts: 1,
          topic: 'orders/x',
          eventId: 'e1',
        },
        { id: 2, cause: 'worse' },
      ],
    });
    const [item] = first['items'] as Record<string, unknown>[];
    expect(item?.['event']).toMatchObject({ id: 'e1', data: { n: 1 } });
    expect(item?.['eventBase64']).toBe(event('e1').toString('base64'));
    const next = `/v1/dead-letters?size=2&token=${String(first['nextToken'])}`;
    expect(await api('GET', next)).toMatchObject([200, { items: [{ id: 3 }], nextToken: '' }]);
  });

  it('selects by subscription, cause and ids, groups, and shows one', async () => {
    await fill(['bad', 'no such customer', 'bad']);
    const path = '/v1/dead-letters?subscription=work&cause=no%20such%20customer';
    expect(await api('GET', path)).toMatchObject([200, { items: [{ id: 2 }] }]);
    expect(await api('GET', '/v1/dead-letters?id=1&id=3')).toMatchObject([
      200,
      { items: [{ id: 1 }, { id: 3 }] },
    ]);
    expect(await api('GET', '/v1/dead-letters/groups?cause=bad')).toMatchObject([
      200,
      { groups: [{ subscription: 'work', cause: 'bad', count: 2 }] },
    ]);
    expect(await api('GET', '/v1/dead-letters/3')).toMatchObject([200, { id: 3, eventId: 'e3' }]);
    expect(await api('GET', '/v1/dead-letters/status')).toMatchObject([
      200,
      { count: 3, full: false },
    ]);
  });

  it('redrives and purges what is selected', async () => {
    await fill(['bad', 'worse', 'bad']);
    expect(await api('POST', '/v1/dead-letters/redrive', { cause: 'worse', rateMax: 5 })).toEqual([
      200,
      { redriven: 1, missing: 0, unmatched: 0, forbidden: 0, nextToken: '' },
    ]);
    expect(mesh.subscription('work').status().held).toBe(1);
    expect(await api('POST', '/v1/dead-letters/purge', { ids: [1] })).toEqual([
      200,
      { purged: 1, nextToken: '' },
    ]);
    expect(await api('POST', '/v1/dead-letters/purge', { all: true })).toMatchObject([
      200,
      { purged: 1 },
    ]);
    expect(await api('GET', '/v1/dead-letters')).toMatchObject([200, { items: [] }]);
  });

  it.each([
    ['POST', '/v1/dead-letters/purge', {}, 'selection'],
    ['POST', '/v1/dead-letters/purge', { all: true, cause: 'x' }, 'selection.all'],
    ['POST', '/v1/dead-letters/purge', { all: 'yes' }, 'all'],
    ['POST', '/v1/dead-letters/purge', { ids: [] }, 'ids'],
    ['POST', '/v1/dead-letters/purge', { ids: [-1] }, 'ids[0]'],
    ['POST', '/v1/dead-letters/purge', { ids: 1 }, 'ids'],
    ['POST', '/v1/dead-letters/purge', { cause: 7 }, 'cause'],
    ['POST', '/v1/dead-letters/redrive', { all: true, rateMax: 'fast' }, 'rateMax'],
    ['POST', '/v1/dead-letters/redrive', { all: true, speed: 1 }, 'speed'],
    ['POST', '/v1/dead-letters/redrive', { all: true, token: 1 }, 'token'],
    ['GET', '/v1/dead-letters?id=x', undefined, 'id[0]'],
    ['GET', '/v1/dead-letters?size=0', undefined, 'size'],
    ['GET', '/v1/dead-letters?why=1', undefined, 'why'],
    ['GET', '/v1/dead-letters/x1', undefined, 'id'],
  ])('%s %s with %j names the field at fault', async (method, path, body, field) => {
    await fill(['bad']);
    expect(await api(method, path, body)).toMatchObject([400, { field }]);
    expect(mesh.subscription('work').deadLetters).toHaveLength(1);
  });

  it('shows and gives nothing of another tenant', async () => {
    await fill(['bad']);
    const authorization = { headers: { authorization: 'Bearer mallory' } };
    const as = (method: string, path: string, body?: unknown) =>
      api(method, path, body, authorization);
    expect(await as('GET', '/v1/dead-letters')).toMatchObject([200, { items: [] }]);
    expect(await as('GET', '/v1/dead-letters/1')).toMatchObject([404, { field: 'id' }]);
    const purged = await as('POST', '/v1/dead-letters/purge', { all: true });
    expect(purged).toMatchObject([200, { purged: 0 }]);
    expect(mesh.subscription('work').deadLetters).toHaveLength(1);
  });
});
