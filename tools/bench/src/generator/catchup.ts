import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { MeshClient } from '@eventmesh/sdk';
import { quantile } from '../statistics.ts';
import { ALL_TOPICS, EventSource } from './events.ts';
import type { Job, Ready, Target } from './job.ts';
import { connectTo, publishAll } from './publish.ts';

/** How long the live subscription is measured alone, in ms: about as long as catching up takes. */
const ALONE_MS = 9000;
/** How often all is read before it is measured. */
const WARM_UPS = 2;
const PROBE = new URL('./live-probe.ts', import.meta.url);

/**
 * Stores many events and reads them all by a new subscription, while one event at a time goes through
 * another, live one of another process: what the live one feels of it is measured beside. All that
 * has happened before, to be warm: what the three processes do first, V8 compiles for seconds.
 */
export async function catchup({ site, events }: Extract<Job, { kind: 'catchup' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  await publishAll(publisher, new EventSource(), events);
  const live = await startProbe(site);
  for (let time = 0; time < WARM_UPS; time++) await readAll(client, events);
  await live.take();
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
  const alone = await live.take();
  return {
    async run() {
      const { seconds } = await readAll(client, events);
      const meanwhile = await live.take();
      const p99Alone = quantile(alone, 0.99);
      const p99Meanwhile = quantile(meanwhile, 0.99);
      return { seconds, p99Alone, p99Meanwhile, liveP99Ratio: p99Meanwhile / p99Alone };
    },
    async close() {
      await publisher.close();
      await live.close();
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
  });
  let received = 0;
  for await (const batch of subscriber.batches()) {
    subscriber.accept(batch.map(({ id }) => id));
    received += batch.length;
    if (received >= events) break;
  }
  return { seconds: (performance.now() - startedMs) / 1000 };
}

/** Starts the live subscription in a process of its own. */
async function startProbe(target: Target) {
  const child = fork(PROBE, [JSON.stringify(target)], {
    execArgv: process.execArgv,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return {
    /** What each event took since the last call, in ms. */
    async take(): Promise<readonly number[]> {
      child.send('take');
      const [tookMs] = (await once(child, 'message')) as [readonly number[]];
      return tookMs;
    },
    async close(): Promise<void> {
      const closed = once(child, 'close');
      child.disconnect();
      await closed;
    },
  };
}
