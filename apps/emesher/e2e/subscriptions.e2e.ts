import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import {
  SubscriberService,
  Subscription_Mode,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import { AsyncQueue, createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
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

describe('mode broadcast', () => {
  it('is refused before anything is made of it', async () => {
    const subscription = {
      name: 'all-of-us',
      topicFilters: ['a/#'],
      mode: Subscription_Mode.BROADCAST,
    };
    await expect(client().createSubscription({ subscription })).rejects.toMatchObject({
      code: 'Unimplemented',
      details: { field: 'mode' },
    });
    expect(await names()).not.toContain('all-of-us');
  });
});
