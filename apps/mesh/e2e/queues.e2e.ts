import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SubscriberService, type SubscribeRequest } from '@eventmesh/proto-gen/subscriber';
import { AsyncQueue, createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually, tempDir } from '@eventmesh/testing';
import { startSite } from '../src/site/start-site.ts';
import { OneSite } from './one-site.ts';

const TEST_MS = 120_000;
const PAGE = join(import.meta.dirname, '../../../docs/reference/queues.md');
const BYTES_MAX = 64 * 1024;
const DIRECT_MAX = 8;
const EVENT_BYTES = 8 * 1024;

const dir = tempDir('queues');
let site: OneSite;

beforeAll(async () => {
  const delivery = { consumerBytesMax: '64KiB', directQueueMax: DIRECT_MAX };
  site = await OneSite.start(dir.path, { delivery });
}, TEST_MS);

afterAll(async () => {
  await site?.stop();
  dir.remove();
}, 30_000);

const event = (id: string) => ({
  id,
  source: '/queues',
  type: 'test',
  data: Buffer.alloc(EVENT_BYTES),
});

/** A consumer with all the credit in the world that reads only when it is told to. */
async function lazyConsumer(name: string, topic: string, direct: boolean) {
  const authorization = site.authorization('subscriber');
  const transport = grpcTransport({
    address: `127.0.0.1:${site.grpcPort}`,
    metadata: () => ({ authorization }),
  });
  const requests = new AsyncQueue<SubscribeRequest>();
  const spec = { name, topicFilters: [topic], deliveryClass: direct ? 2 : 1 };
  const open = {
    subscription: { case: 'spec', value: spec },
    credit: { events: 1_000_000, bytes: 0n },
  };
  requests.push({ message: { case: 'open', value: open } } as SubscribeRequest);
  const client = createClient(SubscriberService, transport);
  const messages = client.subscribe(requests)[Symbol.asyncIterator]();
  const opened = await messages.next();
  expect(opened.value?.message.case).toBe('opened');
  return {
    /** Reads and settles until so many events have come. */
    async take(count: number): Promise<void> {
      for (let got = 0; got < count;) {
        const next = await messages.next();
        if (next.done === true) throw new Error('the stream has ended');
        const { message } = next.value;
        if (message.case !== 'deliveries') throw new Error(`there came ${message.case}`);
        const ids = message.value.deliveries.map(({ id }) => id);
        got += ids.length;
        const settle = { ids, outcome: 1 };
        requests.push({ message: { case: 'settle', value: settle } } as SubscribeRequest);
      }
    },
    close() {
      requests.end();
      transport.close();
    },
  };
}

describe('a gRPC consumer that gives credit without end and does not read', () => {
  it(
    'costs the emesher no more than the bound, and gets everything when it reads',
    async () => {
      const consumer = await lazyConsumer('lazy', 'lazy', false);
      const count = 1000;
      const stream = site.client('publisher').publisher();
      const entries = Array.from({ length: count }, (_, n) => ({
        topic: 'lazy',
        event: event(`lazy-${n}`),
      }));
      await stream.publishMany(entries);
      await eventually(async () => {
        expect(await site.metric('eventmesh_consumer_bytes')).toBeGreaterThan(BYTES_MAX / 2);
      });
      // A batch of deliveries may go over the bound by one event, and has an envelope.
      expect(await site.metric('eventmesh_consumer_bytes')).toBeLessThan(2 * BYTES_MAX);
      await consumer.take(count);
      await eventually(async () => {
        expect(await site.metric('eventmesh_consumer_bytes')).toBe(0);
      });
      await stream.close();
      consumer.close();
    },
    TEST_MS,
  );

  it(
    'loses direct events beyond what may wait for it, counted',
    async () => {
      const consumer = await lazyConsumer('hasty', 'hasty', true);
      const stream = site.client('publisher').publisher();
      const outcome = (name: string) =>
        site.metric('eventmesh_direct_events_total', { outcome: name });
      let count = 0;
      await eventually(
        async () => {
          const entries = Array.from({ length: 50 }, () => ({
            topic: 'hasty',
            event: event(`hasty-${count++}`),
            deliveryClass: 'direct' as const,
          }));
          await stream.publishMany(entries);
          expect(await site.metric('eventmesh_direct_waiting')).toBe(DIRECT_MAX);
        },
        { timeoutMs: TEST_MS / 2 },
      );
      expect(await outcome('slow')).toBeGreaterThan(0);
      expect(await site.metric('eventmesh_consumer_bytes')).toBeLessThan(2 * BYTES_MAX);
      expect((await outcome('slow')) + (await outcome('delivered')) + DIRECT_MAX).toBe(count);
      await stream.close();
      consumer.close();
    },
    TEST_MS,
  );
});

describe('the metrics of a site', () => {
  it(
    'tell the fill of every queue of the reference page',
    async () => {
      const page = readFileSync(PAGE, 'utf8');
      const gauges = [...page.matchAll(/\| `(eventmesh_\w+)` \|/g)].map(([, name = '']) => name);
      expect(gauges.length).toBeGreaterThan(30);
      const there = await startSite({ site: 'west', dir: join(dir.path, 'whole') });
      const text = await there.metrics.render();
      await there.stop();
      const missing = gauges.filter((name) => !text.includes(`# TYPE ${name} gauge`));
      expect(missing).toEqual([]);
    },
    TEST_MS,
  );
});
