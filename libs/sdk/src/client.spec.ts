import { afterAll, describe, expect, it } from '@jest/globals';
import { MeshClient, type SubscribeOptions } from './index.ts';

const EVENT = { id: '1', source: '/s', type: 't' };
/** Nobody answers there; nothing here gets so far. */
const ADDRESS = '127.0.0.1:9';
const client = new MeshClient({ address: ADDRESS });
afterAll(() => client.close());

const outcome = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
};

describe('a client', () => {
  it.each([NaN, 0, -1, 1.5, 300_001, 1e12, Infinity])(
    'refuses a request with a time of %d ms before it is sent, naming the limit',
    async (timeoutMs) => {
      await expect(client.request('a', EVENT, { timeoutMs })).rejects.toMatchObject({
        code: 'InvalidArgument',
        details: { field: 'timeoutMs', limit: '1 to 300000 ms' },
      });
    },
  );

  it.each([NaN, 0, 1.5, Infinity])('refuses a deadline of its calls of %d ms', (timeoutMs) => {
    expect(outcome(() => new MeshClient({ address: ADDRESS, timeoutMs }))).toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'timeoutMs', limit: '1 to 86400000 ms' },
    });
  });

  it.each<[string, Partial<SubscribeOptions>]>([
    ['credit', { credit: 0.5 }],
    ['convergeMs', { convergeMs: NaN }],
    ['replay.rateMax', { replay: { from: { kind: 'earliest' }, rateMax: 0.5 } }],
    ['replay.toMs', { replay: { from: { kind: 'earliest' }, toMs: Infinity } }],
    ['start.timeMs', { replay: { from: { kind: 'time', timeMs: NaN } } }],
    ['ackTimeoutMs', { subscription: { name: 's', topicFilters: ['a'], ackTimeoutMs: 1000.5 } }],
  ])('refuses a consumer by its %s, and names it', (field, options) => {
    expect(outcome(() => client.subscribe({ subscription: 's', ...options }))).toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });

  it('refuses a producer whose epoch is none, and what a producer cannot number', async () => {
    const epoch = () => client.publisher({ producer: { id: 'p', epoch: 1.5 } });
    expect(outcome(epoch)).toMatchObject({ details: { field: 'producer.epoch' } });
    const publisher = client.publisher({ producer: { id: 'p', epoch: 1 }, giveUpAfterMs: 1 });
    await expect(publisher.publish('a', EVENT, { deliveryClass: 'direct' })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'deliveryClass' },
    });
    await publisher.close();
  });
});
