import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh } from './faults/site-mesh.ts';
import { Taker, type TakerOptions } from './faults/taker.ts';
import { OneSite } from './one-site.ts';

const TEST_MS = 120_000;
const WAIT_MS = 30_000;

const dir = tempDir('subscription-lives');
const takers: Taker[] = [];

afterEach(async () => {
  await Promise.all(takers.splice(0).map((taker) => taker.leave()));
});
afterAll(() => dir.remove());

async function take(client: MeshClient, options: TakerOptions): Promise<Taker> {
  const taker = await Taker.attach(client, options);
  takers.push(taker);
  return taker;
}

const settles = (check: () => void | Promise<void>) => eventually(check, { timeoutMs: WAIT_MS });
const publish = (client: MeshClient, topic: string, id: string) =>
  client.publish(topic, { id, source: `/${topic}`, type: 't' });
const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${name}-${at}`);

/** Status of a call to the API of subscriptions, as the administrator; 0: nobody answered. */
async function call(
  at: { readonly http: string; readonly authorization: string },
  method: string,
  path: string,
  body?: object,
): Promise<number> {
  try {
    const response = await fetch(`${at.http}/v1/subscriptions${path}`, {
      method,
      headers: { authorization: at.authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await response.text();
    return response.status;
  } catch {
    return 0;
  }
}

describe('a subscription of one emesher', () => {
  let site: OneSite;
  let publisher: MeshClient;
  const api = (method: string, path: string, body?: object) =>
    call({ http: site.http, authorization: site.authorization('admin') }, method, path, body);

  beforeAll(async () => {
    site = await OneSite.start(join(dir.path, 'one'), { log: { partitions: 1 } });
    publisher = site.client('publisher');
  }, TEST_MS);
  afterAll(() => site?.stop(), 60_000);

  it(
    'begins where it was made, also when the emesher is killed meanwhile and it is made once more',
    async () => {
      for (let round = 0; round < 2; round++) {
        const names = numbered(`made-${round}`, 20);
        const make = () =>
          names.map((name) => api('POST', '', { name, topicFilters: [`made/${name}`] }));
        const first = make();
        // The one that is answered first, and later ones, are behind the others.
        await first[round * 8];
        await site.crash();
        await Promise.all(first);
        expect(new Set(await Promise.all(make()))).toEqual(new Set([201]));
        for (const name of names) await publish(publisher, `made/${name}`, name);
        for (const name of names) {
          const taker = await take(site.client('subscriber'), { subscription: name });
          await settles(() => expect(taker.ids).toEqual([name]));
        }
      }
    },
    TEST_MS,
  );

  it(
    'that asks for the same is the same after it was moved to another start',
    async () => {
      const spec = { name: 'sought', topicFilters: ['sought'] };
      const mine = await take(site.client('subscriber'), { subscription: spec });
      await publish(publisher, 'sought', '1');
      await settles(() => expect(mine.ids).toEqual(['1']));
      expect(await api('POST', '/sought/seek', { start: { kind: 'earliest' } })).toBe(200);
      await settles(() => expect(mine.ended).toMatchObject({ reason: 'SEEK' }));
      const again = await take(site.client('subscriber'), { subscription: spec });
      await settles(() => expect(again.ids).toEqual(['1']));
      expect(await api('POST', '', spec)).toBe(201);
    },
    TEST_MS,
  );

  it(
    'that is ephemeral goes on after a change of it, and from another start, and ends with its consumer',
    async () => {
      const spec = { name: 'brief', topicFilters: ['brief'], ephemeral: true } as const;
      const first = await take(site.client('subscriber'), { subscription: spec });
      await publish(publisher, 'brief', '1');
      await settles(() => expect(first.ids).toEqual(['1']));
      const change = { topicFilters: ['brief'], ackTimeoutMs: 5000 };
      expect(await api('PUT', '/brief', change)).toBe(200);
      await settles(() => expect(first.ended).toMatchObject({ reason: 'SUBSCRIPTION_CHANGED' }));
      // Nobody is there now, and nothing is kept in the store.
      await publish(publisher, 'brief', '2');
      const second = await take(site.client('subscriber'), { subscription: 'brief' });
      await settles(() => expect(second.ids).toEqual(['2']));
      expect(await api('POST', '/brief/seek', { start: { kind: 'earliest' } })).toBe(200);
      await settles(() => expect(second.ended).toMatchObject({ reason: 'SEEK' }));
      const third = await take(site.client('subscriber'), { subscription: 'brief' });
      await settles(() => expect(third.ids).toEqual(['1', '2']));
      await third.leave();
      await settles(async () => expect(await api('GET', '/brief')).toBe(404));
      // Another one of the name has nothing of it.
      const latest = await take(site.client('subscriber'), { subscription: spec });
      await publish(publisher, 'brief', '3');
      await settles(() => expect(latest.ids).toEqual(['3']));
    },
    TEST_MS,
  );

  it(
    'that is ephemeral goes when nobody comes back after it was moved',
    async () => {
      const spec = { name: 'left', topicFilters: ['left'], ephemeral: true } as const;
      const only = await take(site.client('subscriber'), { subscription: spec });
      expect(await api('POST', '/left/seek', { start: { kind: 'earliest' } })).toBe(200);
      await settles(() => expect(only.ended).toMatchObject({ reason: 'SEEK' }));
      await settles(async () => expect(await api('GET', '/left')).toBe(404));
    },
    TEST_MS,
  );

  it(
    'has all events of partitions that come later, though nobody consumes it meanwhile',
    async () => {
      expect(await api('POST', '', { name: 'grown', topicFilters: ['grown/#'] })).toBe(201);
      const file = join(dir.path, 'one/west/site.json');
      const config = JSON.parse(readFileSync(file, 'utf8')) as { dataPlane: object };
      config.dataPlane = { log: { partitions: 4 } };
      writeFileSync(file, JSON.stringify(config));
      await site.crash();
      const ids = numbered('grown', 24);
      for (const id of ids) await publish(publisher, `grown/${id}`, id);
      const taker = await take(site.client('subscriber'), { subscription: 'grown' });
      await settles(() => expect(taker.ids.toSorted()).toEqual(ids.toSorted()));
    },
    TEST_MS,
  );
});

describe('a subscription of two emeshers', () => {
  let mesh: SiteMesh;
  const api = (method: string, path: string, body?: object) =>
    call({ http: mesh.emesher(0).http, authorization: authorization() }, method, path, body);
  const authorization = (): string => {
    const flags = mesh.flags(mesh.emesher(0));
    const pair = flags.at(flags.indexOf('--user') + 1) ?? '';
    return `Basic ${Buffer.from(pair).toString('base64')}`;
  };

  beforeAll(async () => {
    const emesher = { dataPlane: { lease: { ttl: '3s' } } };
    mesh = await SiteMesh.start(join(dir.path, 'two'), { west: 2 }, { emesher });
  }, TEST_MS);
  afterAll(() => mesh?.stop(), 60_000);

  it(
    'loses nothing to the owner of one that had its name and was paused',
    async () => {
      const spec = { name: 'again', topicFilters: ['again'] };
      expect(await api('POST', '', spec)).toBe(201);
      const old = await take(mesh.client(mesh.emesher(1), 'subscriber'), { subscription: 'again' });
      const publisher = mesh.client(mesh.emesher(0), 'publisher');
      const ids = numbered('again', 100);
      for (const id of ids) await publish(publisher, 'again', id);
      mesh.emesher(1).process.signal('SIGSTOP');
      try {
        expect(await api('DELETE', '/again')).toBe(204);
        const anew = { ...spec, start: { kind: 'earliest' } };
        await settles(async () => expect(await api('POST', '', anew)).toBe(201));
      } finally {
        mesh.emesher(1).process.signal('SIGCONT');
      }
      // It has heard that what it ran is no more, or that somebody is ahead of it.
      await settles(() => expect(old.ended).toBeDefined());
      const client = mesh.client(mesh.emesher(0), 'subscriber');
      const taker = await take(client, { subscription: 'again' });
      await settles(() => expect(taker.ids).toEqual(ids));
      publisher.close();
    },
    TEST_MS,
  );

  it(
    'that is made while one of its name is still being deleted keeps its place',
    async () => {
      const spec = { name: 'twice', topicFilters: ['twice'] };
      expect(await api('POST', '', spec)).toBe(201);
      const publisher = mesh.client(mesh.emesher(0), 'publisher');
      mesh.emesher(1).process.signal('SIGSTOP');
      try {
        const deleted = api('DELETE', '/twice');
        await settles(async () => expect(await api('GET', '/twice')).toBe(404));
        await settles(async () => expect(await api('POST', '', spec)).toBe(201));
        await publish(publisher, 'twice', '1');
        expect(await deleted).toBe(204);
      } finally {
        mesh.emesher(1).process.signal('SIGCONT');
      }
      const client = mesh.client(mesh.emesher(0), 'subscriber');
      const taker = await take(client, { subscription: 'twice' });
      await settles(() => expect(taker.ids).toEqual(['1']));
      publisher.close();
    },
    TEST_MS,
  );
});
