import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually } from '@eventmesh/testing';
import type { MeshClient, SubscribeOptions } from '@eventmesh/sdk';
import { Taker } from './faults/taker.ts';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const workspace = new Workspace();
let site: OneSite;

/** Runs `mesh … -o json` as the administrator and reads what it printed. */
const mesh = <T>(...args: string[]): Promise<T> =>
  workspace.json<T>(...args, ...site.flags('admin'));
let publisher: MeshClient;
let subscriber: MeshClient;

beforeAll(async () => {
  site = await OneSite.start(workspace.folder);
  publisher = site.client('publisher');
  subscriber = site.client('subscriber');
}, 60_000);

afterAll(async () => {
  publisher.close();
  subscriber.close();
  await site.stop();
  await workspace.remove();
});

const publish = (
  id: string,
  extensions: Readonly<Record<string, string | number>>,
  data: unknown,
) =>
  publisher.publish('shop/orders', {
    id,
    source: '/test',
    type: 'com.example.order',
    datacontenttype: 'application/json',
    extensions,
    data: Buffer.from(JSON.stringify(data)),
  });

describe('filters of a subscription made by the CLI', () => {
  it('decide by SQL and by data, count their errors, and come back as they went in', async () => {
    const sql = "region IN ('eu', 'us') AND priority > 5";
    const data = { path: '$.lines[*].sku', equals: 'tea' };
    const options = ['--filter', `sql:${sql}`, '--filter', 'data:$.lines[*].sku=tea'];
    await mesh('subscriptions', 'create', 'tea', 'shop/#', '--from', 'earliest', ...options);

    const got: string[] = [];
    const leave = new AbortController();
    const stream = subscriber.subscribe({ subscription: 'tea', signal: leave.signal });
    const ended = (async () => {
      for await (const delivery of stream) {
        got.push(delivery.event.id);
        delivery.accept();
      }
    })().catch(() => undefined); // The test leaves.
    await stream.opened;

    const tea = { lines: [{ sku: 'milk' }, { sku: 'tea' }] };
    await publish('passes', { region: 'eu', priority: 6 }, tea);
    await publish('other-region', { region: 'apac', priority: 6 }, tea);
    await publish('other-data', { region: 'eu', priority: 6 }, { lines: [] });
    await publish('no-priority', { region: 'eu' }, tea);
    await publish('passes-too', { region: 'us', priority: 7 }, tea);

    await eventually(async () => {
      const { subscription, status } = await site.management.get<{
        subscription: { filters: unknown };
        status: SubscriptionStatus;
      }>('/v1/subscriptions/tea');
      expect(subscription.filters).toEqual([{ sql }, { data }]);
      expect(status).toMatchObject({ delivered: 2, filtered: 3, filterErrors: 1 });
    });
    expect(got).toEqual(['passes', 'passes-too']);
    leave.abort();
    await ended;
  }, 60_000);

  it('count an event in error once, though it is looked at again behind an unsettled one', async () => {
    const filters = [{ any: [{ sql: 'priority > 5' }, { exact: { type: 'kept' } }] }];
    const path = '/v1/subscriptions/errors';
    const read = async () => {
      const { status } = await site.management.get<{ status: SubscriptionStatus }>(path);
      return status;
    };
    const attach = (spec: string | Exclude<SubscribeOptions['subscription'], string>) =>
      eventually(
        () =>
          Taker.attach(site.client('subscriber'), { subscription: spec, settle: () => undefined }),
        { timeoutMs: 30_000 },
      );
    const send = (id: string, type: string) =>
      site.client('publisher').publish('errors/x', { id, source: '/test', type });
    let taker = await attach({
      ...{ name: 'errors', topicFilters: ['errors/#'], filters, ackTimeoutMs: 600_000 },
    });
    await send('first', 'kept');
    for (let n = 0; n < 4; n++) await send(`other-${n}`, 'other');
    // Of these, too, a filter is in error; nothing behind the last one is settled.
    for (const id of ['done', 'last']) await send(id, 'kept');
    await eventually(() => expect(taker.ids).toEqual(['first', 'done', 'last']));
    taker.taken[1]?.accept();
    const expectBooks = () =>
      eventually(async () => {
        const books = { considered: 7, delivered: 1, filtered: 4, held: 2, filterErrors: 7 };
        expect(await read()).toMatchObject(books);
      });
    await expectBooks();
    for (let round = 0; round < 3; round++) {
      await taker.leave();
      taker = await attach('errors');
      await eventually(() => expect(taker.ids).toEqual(['first', 'last']));
      await expectBooks();
    }
    // The books are written every 100 ms.
    await site.crash();
    await taker.leave();
    taker = await attach('errors');
    await expectBooks();
    await taker.leave();
  }, 90_000);

  it('are refused with the place of the fault', async () => {
    const refused = mesh('subscriptions', 'create', 'x', '#', '--filter', 'sql:a = = b');
    await expect(refused).rejects.toThrow('[0].sql: at character 5: a value is expected');
  }, 60_000);
});
