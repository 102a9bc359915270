import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { PeerService, type AttachRequest } from '@eventmesh/proto-gen/peer';
import {
  SubscriberService,
  Subscription_Mode,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import {
  AsyncQueue,
  createClient,
  everyEntry,
  grpcTransport,
  type Transport,
} from '@eventmesh/rpc';
import { MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { SiteProcesses } from './site-processes.ts';

const site = new SiteProcesses();
let transport: Transport;

beforeAll(async () => {
  await site.start();
  const authorization = `Basic ${Buffer.from('sub:subs-password').toString('base64')}`;
  transport = grpcTransport({ address: site.grpc, metadata: () => ({ authorization }) });
}, 60_000);
afterAll(async () => {
  transport?.close();
  await site.stop();
});

const client = () => createClient(SubscriberService, transport);
const names = async () => {
  const { subscriptions } = await client().listSubscriptions({});
  return subscriptions.map(({ subscription }) => subscription?.name);
};

describe('an ephemeral subscription', () => {
  it.each([
    ['durable', DeliveryClass.DURABLE],
    ['direct', DeliveryClass.DIRECT],
  ] as const)(
    'of class %s vanishes, with its interest, when its stream ends',
    async (_, deliveryClass) => {
      const requests = new AsyncQueue<SubscribeRequest>();
      const value = { name: '', topicFilters: ['a/#'], deliveryClass };
      const subscription = { case: 'spec', value };
      requests.push({ message: { case: 'open', value: { subscription } } } as SubscribeRequest);
      let made: string | undefined;
      for await (const { message } of client().subscribe(requests)) {
        if (message.case !== 'opened') continue;
        made = message.value.subscription?.name;
        expect(await names()).toContain(made);
        requests.end();
      }
      await eventually(async () => expect(await names()).not.toContain(made), { timeoutMs: 5000 });
    },
  );
});

describe('the list of subscriptions', () => {
  it('comes in pages, which go on by a token that the list gave and no other', async () => {
    const made = ['page-1', 'page-2', 'page-3'];
    for (const name of made) {
      await client().createSubscription({ subscription: { name, topicFilters: ['a/#'] } });
    }
    await eventually(async () => expect(await names()).toEqual(expect.arrayContaining(made)));
    const found: (string | undefined)[] = [];
    const ask = async (pageToken: string) => {
      const page = await client().listSubscriptions({ pageSize: 2, pageToken });
      expect(page.subscriptions.length).toBeLessThanOrEqual(2);
      return { entries: page.subscriptions, nextPageToken: page.nextPageToken };
    };
    for await (const { subscription } of everyEntry(ask)) found.push(subscription?.name);
    expect(found).toEqual(await names());
    await expect(client().listSubscriptions({ pageToken: 'page-1' })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'page_token' },
    });
    for (const name of made) await client().deleteSubscription({ name });
  });
});

describe('a consumer of the SDK', () => {
  it('that leaves its loop right after a settle has settled', async () => {
    const mesh = (user: string) =>
      new MeshClient({ address: site.grpc, user, password: `${user}s-password` });
    const [publisher, consumer] = [mesh('pub'), mesh('sub')];
    const subscription = { name: 'leaver', topicFilters: ['a/leaver'] };
    await client().createSubscription({ subscription });
    for (const id of ['1', '2']) {
      await publisher.publish('a/leaver', { id, source: '/leaver', type: 't' });
    }
    const take = async () => {
      for await (const delivery of consumer.subscribe({ subscription: 'leaver', credit: 1 })) {
        delivery.accept();
        return [delivery.event.id, delivery.attempt];
      }
      return undefined;
    };
    expect(await take()).toEqual(['1', 1]);
    expect(await take()).toEqual(['2', 1]);
    const { status } = await client().getSubscription({ name: 'leaver' });
    expect(status).toMatchObject({ delivered: 2n, redelivered: 0n, held: 0n });
    publisher.close();
    consumer.close();
  });
});

describe('mode broadcast', () => {
  const subscription = {
    name: 'all-of-us',
    topicFilters: ['a/#'],
    mode: Subscription_Mode.BROADCAST,
  };

  it('refuses a consumer whose name cannot be part of the name of its progress', async () => {
    const requests = new AsyncQueue<SubscribeRequest>();
    const value = { subscription: { case: 'spec', value: subscription }, consumer: 'a:b' };
    requests.push({ message: { case: 'open', value } } as SubscribeRequest);
    await expect(client().subscribe(requests)[Symbol.asyncIterator]().next()).rejects.toMatchObject(
      {
        code: 'InvalidArgument',
        details: { field: 'consumer' },
      },
    );
  });

  it('does not let a caller make a part of it, or change one by itself', async () => {
    const part = { ...subscription, name: 'all-of-us:a' };
    const refused = { code: 'InvalidArgument', details: { field: 'name' } };
    await expect(client().createSubscription({ subscription: part })).rejects.toMatchObject(
      refused,
    );
  });
});

describe('the service for the other emeshers of the site', () => {
  it('is closed to whoever does not show the service token', async () => {
    const peer = createClient(PeerService, transport);
    await expect(peer.status({ tenant: 'default', names: ['x'] })).rejects.toMatchObject({
      code: 'Unauthenticated',
      details: { field: 'authorization' },
    });
    const requests = new AsyncQueue<AttachRequest>();
    requests.push({
      message: { case: 'open', value: { subscription: 'all-of-us', consumer: 'me' } },
    } as AttachRequest);
    await expect(peer.attach(requests)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'Unauthenticated',
    });
  });
});
