import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { OneSite } from './one-site.ts';

const TEST_MS = 60_000;

interface Pulled {
  readonly deliveries: readonly {
    readonly id: number;
    readonly attempt: number;
    readonly event: { readonly id: string };
  }[];
}
interface Answer {
  readonly status: number;
  readonly body: Partial<Pulled> & { readonly detail?: string; readonly settled?: number };
}
type Call = (path: string, body?: object) => Promise<Answer>;

const caller =
  (http: string, authorization: string): Call =>
  async (path, body) => {
    const response = await fetch(`${http}/v1/subscriptions${path}`, {
      method: 'POST',
      headers: {
        authorization,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  };

const shown = ({ body }: Answer): string[] =>
  (body.deliveries ?? []).map(({ event, attempt }) => `${event.id}@${attempt}`);
const idsOf = ({ body }: Answer): number[] => (body.deliveries ?? []).map(({ id }) => id);

const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `e${n}`);

async function publish(
  client: MeshClient,
  topic: string,
  ids: readonly string[],
  more: { data?: Buffer; partitionKey?: string } = {},
): Promise<void> {
  const extensions = more.partitionKey === undefined ? {} : { partitionkey: more.partitionKey };
  for (const id of ids) {
    const event = { id, source: `/${topic}`, type: 't', extensions };
    await client.publish(topic, more.data === undefined ? event : { ...event, data: more.data });
  }
}

const ACK_MS = 3000;

/** Waits until leases of that length have run out one after the other: those of an event of its own. */
async function leasesRunOut(count: number, call: Call, client: MeshClient): Promise<void> {
  const spec = {
    name: 'clock',
    topicFilters: ['pull/clock'],
    ackTimeoutMs: ACK_MS,
    retry: { kind: 'list', delaysMs: [1] },
  };
  expect((await call('', spec)).status).toBe(201);
  await publish(client, 'pull/clock', ['tick']);
  for (let attempt = 1; attempt <= count + 1; attempt++) {
    expect(shown(await call('/clock/pull?waitMs=20000'))).toEqual([`tick@${attempt}`]);
  }
}

describe('at the emesher that runs the subscription', () => {
  const dir = tempDir('pull');
  let site: OneSite;
  let publisher: MeshClient;
  let call: Call;

  beforeAll(async () => {
    site = await OneSite.start(dir.path);
    publisher = site.client('publisher');
    call = caller(site.http, site.authorization('subscriber'));
  }, 60_000);

  afterAll(async () => {
    await site?.stop();
    dir.remove();
  });

  const create = async (name: string, more: Partial<SubscriptionInput> = {}) => {
    const spec = { name, topicFilters: [`pull/${name}`], ...more };
    expect((await call('', spec)).status).toBe(201);
  };

  it(
    'what no pull was waiting for has neither failed nor begun its time to acknowledge',
    async () => {
      const policies = {
        'unpulled-none': { kind: 'none' },
        'unpulled-list': { kind: 'list', delaysMs: [100] },
      } as const;
      for (const [name, retry] of Object.entries(policies)) {
        await create(name, { ackTimeoutMs: ACK_MS, retry });
        expect(shown(await call(`/${name}/pull`))).toEqual([]);
        await publish(publisher, `pull/${name}`, numbered(5));
      }
      await leasesRunOut(2, call, publisher);
      for (const name of Object.keys(policies)) {
        const pulled = await call(`/${name}/pull?waitMs=5000`);
        expect(shown(pulled)).toEqual(numbered(5).map((id) => `${id}@1`));
        const settled = await call(`/${name}/settle`, { ids: idsOf(pulled), outcome: 'accept' });
        expect(settled).toEqual({ status: 200, body: { settled: 5, unknown: [] } });
        const letters = await site.deadLetters.list({ selection: { subscription: name } });
        expect(letters.deadLetters).toEqual([]);
      }
    },
    TEST_MS,
  );

  it(
    'what was recalled with an older event of its key comes after that',
    async () => {
      await create('order', { ordered: true, retry: { kind: 'list', delaysMs: [100] } });
      await call('/order/pull?max=10&consumer=w');
      await publish(publisher, 'pull/order', numbered(4), { partitionKey: 'k' });
      const log: string[] = [];
      for (let n = 0; n < 5; n++) {
        const pulled = await call('/order/pull?max=1&waitMs=5000&consumer=w');
        const [first] = shown(pulled);
        const outcome = first === 'e0@1' ? 'release' : 'accept';
        const given = { ids: idsOf(pulled), outcome, consumer: 'w' };
        log.push(`${first} ${(await call('/order/settle', given)).status}`);
      }
      expect(log).toEqual(['e0@1 200', 'e0@2 200', 'e1@1 200', 'e2@1 200', 'e3@1 200']);
    },
    TEST_MS,
  );

  it(
    'a bound in bytes is kept, and what it cut off was not attempted',
    async () => {
      await create('cut');
      await publish(publisher, 'pull/cut', numbered(5), { data: Buffer.alloc(4096) });
      const log: string[] = [];
      while (log.length < 5) {
        const pulled = shown(await call('/cut/pull?maxBytes=10000&waitMs=5000'));
        expect([1, 2]).toContain(pulled.length);
        log.push(...pulled);
      }
      expect(log).toEqual(numbered(5).map((id) => `${id}@1`));
    },
    TEST_MS,
  );

  it(
    'pulls of one consumer at a time share what there is, and what comes',
    async () => {
      await create('crowd');
      const waiting = numbered(3).map(() => call('/crowd/pull?max=1&waitMs=20000'));
      await eventually(async () => {
        const { status } = await site.management.get<{ status: { consumers: number } }>(
          '/v1/subscriptions/crowd',
        );
        expect(status.consumers).toBe(1);
      });
      await publish(publisher, 'pull/crowd', numbered(3));
      const got = (await Promise.all(waiting)).flatMap(shown);
      expect(got.toSorted()).toEqual(numbered(3).map((id) => `${id}@1`));
    },
    TEST_MS,
  );

  it(
    'a client that leaves while it waits costs the event no attempt',
    async () => {
      await create('left');
      const leave = new AbortController();
      const left = fetch(`${site.http}/v1/subscriptions/left/pull?waitMs=30000`, {
        method: 'POST',
        headers: { authorization: site.authorization('subscriber') },
        signal: leave.signal,
      });
      await call('/left/pull?consumer=other');
      leave.abort();
      await expect(left).rejects.toThrow();
      await publish(publisher, 'pull/left', ['x']);
      expect(shown(await call('/left/pull?waitMs=10000'))).toEqual(['x@1']);
    },
    TEST_MS,
  );

  it('its bounds are taken from a JSON body, too', async () => {
    await create('body');
    await publish(publisher, 'pull/body', numbered(5));
    expect(shown(await call('/body/pull', { max: 3, waitMs: 5000 }))).toHaveLength(3);
    const unknown = await call('/body/pull', { timeoutMs: 200 });
    expect([unknown.status, unknown.body.detail]).toEqual([
      400,
      expect.stringContaining('known are max, maxBytes, waitMs, consumer'),
    ]);
    expect((await call('/body/pull?max=1', { max: 3 })).status).toBe(400);
  });
});

describe('at another emesher of the site', () => {
  const dir = tempDir('pull-two');
  let mesh: SiteMesh;
  let call: Call;

  beforeAll(async () => {
    mesh = await SiteMesh.start(dir.path, { west: 2 });
    call = caller(there().http, authorization());
  }, 120_000);

  afterAll(async () => {
    await mesh?.stop();
    dir.remove();
  }, 60_000);

  const authorization = () =>
    `Basic ${Buffer.from(`subscriber:${mesh.identity.users['subscriber']}`).toString('base64')}`;
  const here = (): Emesher => mesh.emesher(0);
  const there = (): Emesher => mesh.emesher(1);

  it(
    'only what is asked for is taken, in time, and settled by id',
    async () => {
      const spec = {
        name: 'relayed',
        topicFilters: ['pull/relayed'],
        ackTimeoutMs: ACK_MS,
        retry: { kind: 'none' },
      };
      expect((await call('', spec)).status).toBe(201);
      const owner = caller(here().http, authorization());
      // The one that consumes first runs it.
      await owner('/relayed/pull?consumer=owner');
      expect(shown(await call('/relayed/pull?consumer=far'))).toEqual([]);
      const client = mesh.client(here(), 'publisher');
      await publish(client, 'pull/relayed', numbered(5));
      await leasesRunOut(2, owner, client);
      client.close();
      const log: string[] = [];
      for (const max of [2, 2, 5]) {
        const pulled = await call(`/relayed/pull?consumer=far&max=${max}&waitMs=5000`);
        const given = { ids: idsOf(pulled), outcome: 'accept', consumer: 'far' };
        expect((await call('/relayed/settle', given)).status).toBe(200);
        log.push(shown(pulled).join(' '));
      }
      expect(log).toEqual(['e0@1 e1@1', 'e2@1 e3@1', 'e4@1']);
      const big = mesh.client(here(), 'publisher');
      await publish(big, 'pull/relayed', ['big0', 'big1', 'big2'], { data: Buffer.alloc(4096) });
      big.close();
      for (const expected of ['big0@1 big1@1', 'big2@1']) {
        const pulled = await call('/relayed/pull?consumer=far&maxBytes=10000&waitMs=5000');
        expect(shown(pulled).join(' ')).toBe(expected);
        const given = { ids: idsOf(pulled), outcome: 'accept', consumer: 'far' };
        expect((await call('/relayed/settle', given)).status).toBe(200);
      }
      // Nothing was refused late, and nothing is left.
      expect(await call('/relayed/pull?consumer=far')).toEqual({
        status: 200,
        body: { deliveries: [], gaps: [], refused: [] },
      });
    },
    TEST_MS,
  );
});
