import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { Delivery, MeshClient, MeshError } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 60_000;

const dir = tempDir('subscription-changes');
const workspace = new Workspace();
let site: OneSite;
let publisher: MeshClient;
const consumers: Consumer[] = [];

beforeAll(async () => {
  site = await OneSite.start(dir.path);
  publisher = site.client('publisher');
}, 60_000);

afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.leave();
});

afterAll(async () => {
  await site?.stop();
  await workspace.remove();
  dir.remove();
});

const mesh = (...args: string[]) => workspace.run(...args, ...site.flags('admin'));

async function publish(topic: string, ids: readonly string[], key?: string): Promise<void> {
  const order = key === undefined ? {} : { partitionkey: key };
  for (const id of ids) await publisher.publish(topic, { id, source: '/s', type: 't', ...order });
}

async function http(method: string, path: string, body?: object): Promise<[number, unknown]> {
  const headers = {
    authorization: site.authorization('admin'),
    'content-type': 'application/json',
  };
  const more = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${site.http}${path}`, { method, headers, ...more });
  return [response.status, await response.json()];
}

const create = (spec: SubscriptionInput) => http('POST', '/v1/subscriptions', spec);
const show = async (name: string) =>
  (await http('GET', `/v1/subscriptions/${name}`))[1] as {
    readonly subscription: SubscriptionInput;
    readonly status: Readonly<Record<string, number>> & {
      readonly stuckKeys: readonly { readonly key: string; readonly consumer: string }[];
    };
  };

/** A consumer that keeps what it is given until the test settles it, or accepts all at once. */
class Consumer {
  readonly held: Delivery[] = [];
  readonly opened: Promise<unknown>;
  readonly ended: Promise<MeshError | undefined>;
  readonly #leave = new AbortController();

  constructor(subscription: string, settle: 'accept' | 'hold' = 'hold', consumer?: string) {
    const { signal } = this.#leave;
    const name = consumer === undefined ? {} : { consumer };
    const stream = site.client('subscriber').subscribe({ subscription, signal, ...name });
    this.opened = stream.opened;
    this.ended = (async () => {
      for await (const delivery of stream) {
        this.held.push(delivery);
        if (settle === 'accept') delivery.accept();
      }
    })().then(
      () => undefined,
      (error: MeshError) => error,
    );
    consumers.push(this);
  }

  get ids(): string[] {
    return this.held.map(({ event }) => event.id);
  }

  gets(ids: readonly string[]): Promise<void> {
    return eventually(() => expect(this.ids).toEqual(ids));
  }

  async leave(): Promise<void> {
    this.#leave.abort();
    await this.ended;
  }
}

describe('an update of a subscription', () => {
  it(
    'tells the consumer that is at work, which goes on by it where it was',
    async () => {
      await create({ name: 'moved', topicFilters: ['moved/a'] });
      const before = new Consumer('moved');
      await before.opened;
      await publish('moved/a', ['a1', 'a2']);
      await before.gets(['a1', 'a2']);
      before.held[0]?.accept();
      await eventually(async () => expect((await show('moved')).status['delivered']).toBe(1));
      const [status] = await http('PUT', '/v1/subscriptions/moved', {
        topicFilters: ['moved/a', 'moved/b'],
      });
      expect(status).toBe(200);
      expect(await before.ended).toMatchObject({ reason: 'SUBSCRIPTION_CHANGED' });
      const after = new Consumer('moved', 'accept');
      await after.opened;
      await publish('moved/b', ['b1']);
      await after.gets(['a2', 'b1']);
      const { status: books } = await show('moved');
      expect(books).toMatchObject({ delivered: 3, held: 0 });
    },
    TEST_MS,
  );

  it(
    'from the command line changes what is given and leaves all else',
    async () => {
      const made = ['--filter', 'exact:type=t', '--retry', 'list', '--retry-delays', '1s,5s'];
      expect((await mesh('subscriptions', 'create', 'cli', 'cli/#', ...made)).code).toBe(0);
      expect((await mesh('subscriptions', 'pause', 'cli')).code).toBe(0);
      const given = ['--attempts', '5', '--ack-timeout', '2m', '--dead-letter-expired'];
      expect((await mesh('subscriptions', 'update', 'cli', ...given, '--ordered')).code).toBe(0);
      expect((await show('cli')).subscription).toMatchObject({
        topicFilters: ['cli/#'],
        filters: [{ exact: { type: 't' } }],
        retry: { kind: 'list', delaysMs: [1000, 5000], attemptsMax: 5 },
        ackTimeoutMs: 120_000,
        deadLetterExpired: true,
        ordered: true,
        paused: true,
      });
      const again = ['cli/b', '--clear-filters', '--no-ordered'];
      expect((await mesh('subscriptions', 'update', 'cli', ...again)).code).toBe(0);
      expect((await show('cli')).subscription).toMatchObject({
        topicFilters: ['cli/b'],
        filters: [],
        retry: { attemptsMax: 5 },
        ordered: false,
      });
      const back = ['--no-dead-letter', '--no-dead-letter-expired'];
      expect((await mesh('subscriptions', 'update', 'cli', ...back)).code).toBe(0);
      expect((await show('cli')).subscription).toMatchObject({
        deadLetter: false,
        deadLetterExpired: false,
      });
      expect((await mesh('subscriptions', 'update', 'cli', '--dead-letter')).code).toBe(0);
      expect((await show('cli')).subscription).toMatchObject({ deadLetter: true });
      const other = await mesh('subscriptions', 'create', 'cli', 'cli/c');
      expect([other.code, other.err]).toEqual([
        1,
        expect.stringContaining('exists with another topicFilters, retry, ackTimeoutMs; '),
      ]);
      const refused = await mesh('subscriptions', 'update', 'nobody', '--attempts', '5');
      expect([refused.code, refused.err]).toEqual([66, expect.stringContaining('nobody')]);
    },
    TEST_MS,
  );

  const settings = {
    filters: [{ prefix: { type: 't' } }],
    ordered: true,
    retry: { kind: 'linear', delayMs: 700, attemptsMax: 5 },
    ackTimeoutMs: 5000,
    deadLetter: false,
  } as const;

  it('over HTTP leaves what is not given, in the retries too', async () => {
    await create({ name: 'put', topicFilters: ['put/#'], ...settings });
    const put = (body: object) => http('PUT', '/v1/subscriptions/put', body);
    expect((await put({ retry: { attemptsMax: 4 } }))[0]).toBe(200);
    const retry = { ...settings.retry, attemptsMax: 4 };
    const topicFilters = ['put/#'];
    expect((await show('put')).subscription).toMatchObject({ ...settings, topicFilters, retry });
    expect((await put({ filters: [], ordered: false, retry: { delayMs: 0 } }))[0]).toBe(200);
    const wanted = { filters: [], ordered: false, retry: { ...retry, delayMs: 0 } };
    expect((await show('put')).subscription).toMatchObject({ ...settings, ...wanted });
  });

  it('over gRPC leaves what is not given, in the retries too', async () => {
    await create({ name: 'grpc', topicFilters: ['grpc/#'], ...settings });
    const client = site.client('admin');
    const { subscriptions } = client;
    const update = (more: object, clearFilters = false) =>
      subscriptions.updateSubscription({ subscription: { name: 'grpc', ...more }, clearFilters });
    await update({ topicFilters: ['grpc/b'], retry: { attemptsMax: 4 } });
    const changed = { topicFilters: ['grpc/b'], retry: { ...settings.retry, attemptsMax: 4 } };
    expect((await show('grpc')).subscription).toMatchObject({ ...settings, ...changed });
    await update({ ordered: false, deadLetter: { expired: true } }, true);
    expect((await show('grpc')).subscription).toMatchObject({
      ...settings,
      ...changed,
      ...{ filters: [], ordered: false, deadLetterExpired: true },
    });
    const both = update({ filters: [{ dialect: { case: 'sql', value: 'TRUE' } }] }, true);
    await expect(both).rejects.toMatchObject({ details: { field: 'clear_filters' } });
    client.close();
  });

  it('by a revision is refused when somebody has changed it since', async () => {
    await create({ name: 'read', topicFilters: ['read/#'] });
    const client = site.client('admin');
    const { subscription: read } = await client.subscriptions.getSubscription({ name: 'read' });
    await http('POST', '/v1/subscriptions/read/pause', { paused: true });
    const subscription = { name: 'read', paused: false, revision: read?.revision ?? 0n };
    const revision = { details: { field: 'revision' } };
    await expect(client.subscriptions.updateSubscription({ subscription })).rejects.toMatchObject({
      code: 'Aborted',
      ...revision,
    });
    const put = (body: object) => http('PUT', '/v1/subscriptions/read', body);
    const old = { topicFilters: ['x'], revision: Number(read?.revision) };
    expect(await put(old)).toEqual([409, expect.objectContaining({ field: 'revision' })]);
    const now = (await show('read')).subscription;
    expect(now).toMatchObject({ topicFilters: ['read/#'], paused: true });
    const { revision: newest } = now as { readonly revision?: number };
    expect(await put({ ...old, revision: newest })).toEqual([200, expect.anything()]);
    expect(await put({ revision: -1 })).toEqual([
      400,
      expect.objectContaining({ field: 'revision' }),
    ]);
    client.close();
  });

  it.each([
    ['deliveryClass', 'direct'],
    ['mode', 'exclusive'],
    ['ephemeral', true],
  ])('is refused when it gives another %s, by which events would be lost', async (field, value) => {
    await create({ name: 'fixed', topicFilters: ['fixed/#'] });
    await publish('fixed/a', [`kept-${field}`]);
    const path = '/v1/subscriptions/fixed';
    const [status, problem] = await http('PUT', path, { topicFilters: ['x'], [field]: value });
    expect([status, problem]).toEqual([400, expect.objectContaining({ field })]);
    const consumer = new Consumer('fixed', 'accept');
    await eventually(() => expect(consumer.ids).toContain(`kept-${field}`));
  });
});

describe('a pause', () => {
  it(
    'lets what is out be settled, gives out nothing more, and ends where it began',
    async () => {
      await create({ name: 'paused', topicFilters: ['paused/#'], inFlightMax: 2 });
      const consumer = new Consumer('paused');
      await consumer.opened;
      await publish('paused/a', ['1', '2', '3', '4']);
      await consumer.gets(['1', '2']);
      await http('POST', '/v1/subscriptions/paused/pause', { paused: true });
      for (const delivery of consumer.held) delivery.accept();
      await eventually(async () =>
        expect((await show('paused')).status).toMatchObject({ delivered: 2, held: 2 }),
      );
      expect(consumer.ids).toEqual(['1', '2']);
      await http('POST', '/v1/subscriptions/paused/pause', { paused: false });
      await consumer.gets(['1', '2', '3', '4']);
    },
    TEST_MS,
  );
});

describe('the command line', () => {
  it('shows one as it lists it, and names what it cannot read', async () => {
    await create({ name: 'shown', topicFilters: ['shown/#'] });
    const shown = await workspace.json<object>('subs', 'show', 'shown', ...site.flags('admin'));
    expect(shown).toMatchObject({ subscription: { name: 'shown' }, status: { delivered: 0 } });
    const listed = await workspace.json<object[]>('subs', 'list', ...site.flags('admin'));
    expect(listed).toContainEqual(shown);
    const { code, err } = await mesh('subs', 'seek', 'shown', 'bogus');
    expect([code, err]).toEqual([64, expect.stringContaining('start: "bogus" is not latest, ')]);
  });
});

describe('a start that is not there', () => {
  it.each([
    [{ kind: 'position', partition: 9, position: 1 }, 400, 'start.partition'],
    [{ kind: 'position', partition: 0, position: 1_000_000 }, 400, 'start.position'],
    [{ kind: 'after', source: '/s', id: 'never' }, 404, 'start'],
  ] as const)(
    '%j is refused, and cuts nobody off',
    async (start, wanted, field) => {
      const refusal = [wanted, expect.objectContaining({ field })];
      expect(await create({ name: 'nowhere', topicFilters: ['a'], start })).toEqual(refusal);
      // One for each case: what a consumer has settled when it is cut off may come again.
      const name = `at-work-${field}`;
      await create({ name, topicFilters: [`${name}/#`] });
      const consumer = new Consumer(name, 'accept');
      await consumer.opened;
      expect(await http('POST', `/v1/subscriptions/${name}/seek`, { start })).toEqual(refusal);
      await publish(`${name}/a`, [`after-${field}`]);
      await consumer.gets([`after-${field}`]);
    },
    TEST_MS,
  );
});

describe('a key that one consumer holds', () => {
  it(
    'stays there when another one joins, which gets the other keys, and is named',
    async () => {
      await create({ name: 'keys', topicFilters: ['keys/#'], ordered: true });
      const holder = new Consumer('keys', 'hold', 'holder');
      await holder.opened;
      await publish('keys/a', ['k1'], 'k');
      await holder.gets(['k1']);
      const joined = new Consumer('keys', 'accept', 'joined');
      await joined.opened;
      await publish('keys/a', ['k2', 'k3'], 'k');
      for (const n of ['1', '2', '3', '4']) await publish('keys/a', [`other-${n}`], `key-${n}`);
      await eventually(() =>
        expect([...holder.ids, ...joined.ids].filter((id) => id.startsWith('other'))).toHaveLength(
          4,
        ),
      );
      expect(joined.ids.filter((id) => id.startsWith('k'))).toEqual([]);
      expect(joined.ids.length).toBeGreaterThan(0);
      await eventually(async () => {
        const { stuckKeys } = (await show('keys')).status;
        expect(stuckKeys).toContainEqual(expect.objectContaining({ key: 'k', consumer: 'holder' }));
      });
      await holder.leave();
      await eventually(() =>
        expect(joined.ids.filter((id) => id.startsWith('k'))).toEqual(['k1', 'k2', 'k3']),
      );
    },
    TEST_MS,
  );
});
