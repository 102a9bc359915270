import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually } from '@eventmesh/testing';
import type { MeshClient } from '@eventmesh/sdk';
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

  it('are refused with the place of the fault', async () => {
    const refused = mesh('subscriptions', 'create', 'x', '#', '--filter', 'sql:a = = b');
    await expect(refused).rejects.toThrow('[0].sql: at character 5: a value is expected');
  }, 60_000);
});
