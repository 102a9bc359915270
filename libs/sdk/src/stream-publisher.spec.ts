import { createHook } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import { PublisherService as WirePublisherService } from '@eventmesh/proto-gen/wire';
import { Router, createClient, localTransport, type ServiceImpl } from '@eventmesh/rpc';
import { StreamPublisher } from './stream-publisher.ts';

const EVENT = { id: '1', source: '/s', type: 't' };
const RECEIPT = { outcome: { case: 'receipt' as const, value: { site: 'west', position: 1n } } };

/** A publisher at a service that answers when it is let. */
function rig() {
  const answer = Promise.withResolvers<void>();
  const unused = () => Promise.reject(new MeshError('Unimplemented', 'not called'));
  const service: ServiceImpl<typeof WirePublisherService> = {
    publish: unused,
    publishBatch: unused,
    request: unused,
    async *publishStream(requests) {
      yield { windowEvents: 100, outcomes: [] };
      for await (const { events } of requests) {
        await answer.promise;
        yield { windowEvents: 100, outcomes: events.map(() => RECEIPT) };
      }
    },
  };
  const router = new Router();
  router.service(WirePublisherService, service, { as: PublisherService });
  const transport = localTransport(router);
  const publisher = new StreamPublisher(
    createClient(WirePublisherService, transport, PublisherService),
  );
  return { publisher, answer, transport };
}

/** How many immediates are set while this many timers run out one after the other. */
async function immediates(timers: number): Promise<number> {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'Immediate') count++;
    },
  }).enable();
  for (let turn = 0; turn < timers; turn++) await delay(1);
  hook.disable();
  return count;
}

describe('closing a publish stream', () => {
  it('waits for the last answer, and does nothing meanwhile', async () => {
    const { publisher, answer } = rig();
    const receipts = [1, 2, 3].map(() => publisher.publish('a', EVENT));
    let closed = 0;
    const closing = [publisher.close(), publisher.close()].map((closes) =>
      closes.then(() => closed++),
    );
    await delay(1);
    const busy = await immediates(50);
    const meanwhile = [closed, publisher.pending];
    answer.resolve();
    expect(await Promise.all(receipts)).toHaveLength(3);
    expect(busy).toBeLessThan(10);
    expect(meanwhile).toEqual([0, 3]);
    await Promise.all(closing);
    expect(publisher.pending).toBe(0);
  });

  it('ends when the stream fails before the answer', async () => {
    const { publisher, answer } = rig();
    const receipt = publisher.publish('a', EVENT);
    const closing = publisher.close();
    answer.reject(new MeshError('Unavailable', 'the store is away'));
    await expect(receipt).rejects.toMatchObject({ code: 'Unavailable' });
    await closing;
  });
});
