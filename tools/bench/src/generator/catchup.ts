import { randomUUID } from 'node:crypto';
import type { MeshClient } from '@eventmesh/sdk';
import { quantile } from '../statistics.ts';
import { ALL_TOPICS, EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { connectTo, publishAll } from './publish.ts';

const CREDIT = 8192;
const LIVE_TOPIC = 'live/probe';
/** Pause between two live probes, in ms. */
const PROBE_PAUSE_MS = 5;
const PROBES_ALONE = 400;

/**
 * Stores many events, then reads them all by a new subscription, while one event at a time goes
 * through another, live one: what the live one feels of it is measured beside.
 */
export async function catchup({ site, events }: Extract<Job, { kind: 'catchup' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  await publishAll(publisher, new EventSource(), events);
  // A connection of its own, as another application has.
  const other = connectTo(site);
  const live = await liveProbe(other);
  for (let i = 0; i < PROBES_ALONE; i++) await live.once();
  const alone = live.take();
  return {
    async run() {
      const reading = readAll(client, events);
      let done = false;
      const read = reading.finally(() => {
        done = true;
      });
      while (!done) await live.once();
      const { seconds } = await read;
      const meanwhile = live.take();
      const p99Alone = quantile(alone, 0.99);
      const p99Meanwhile = quantile(meanwhile, 0.99);
      return { seconds, p99Alone, p99Meanwhile, liveP99Ratio: p99Meanwhile / p99Alone };
    },
    async close() {
      await publisher.close();
      live.close();
      other.close();
      client.close();
    },
  };
}

async function readAll(client: MeshClient, events: number): Promise<{ readonly seconds: number }> {
  const startedMs = performance.now();
  const subscriber = client.subscribe({
    subscription: {
      name: `bench-${randomUUID()}`,
      topicFilters: [ALL_TOPICS],
      start: { kind: 'earliest' },
      inFlightMax: 16_384,
    },
    credit: CREDIT,
  });
  let received = 0;
  for await (const batch of subscriber.batches()) {
    subscriber.accept(batch.map(({ id }) => id));
    received += batch.length;
    if (received >= events) break;
  }
  return { seconds: (performance.now() - startedMs) / 1000 };
}

async function liveProbe(client: MeshClient) {
  const publisher = client.publisher();
  const source = new EventSource();
  const subscriber = client.subscribe({
    subscription: { name: `live-${randomUUID()}`, topicFilters: [LIVE_TOPIC] },
  });
  let arrived: (() => void) | undefined;
  const consuming = (async () => {
    for await (const delivery of subscriber) {
      delivery.accept();
      arrived?.();
    }
  })();
  consuming.catch(() => undefined);
  await subscriber.opened;
  let tookMs: number[] = [];
  return {
    async once(): Promise<void> {
      const delivered = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const startedMs = performance.now();
      await Promise.all([publisher.publish(LIVE_TOPIC, source.next()), delivered]);
      tookMs.push(performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, PROBE_PAUSE_MS));
    },
    take(): number[] {
      const taken = tookMs;
      tookMs = [];
      return taken;
    },
    close() {
      subscriber.close();
    },
  };
}
