import { randomUUID } from 'node:crypto';
import { quantile } from '../statistics.ts';
import { EventSource, ALL_TOPICS } from './events.ts';
import type { Job, Ready } from './job.ts';
import { connectTo } from './publish.ts';

const WARM_UP_EVENTS = 300;
const CONVERGE_MS = 10_000;

/**
 * One event at a time: from the call that publishes it at one site to its delivery at another, both
 * seen by this process's clock.
 */
export async function latency({
  from,
  to,
  events,
}: Extract<Job, { kind: 'latency' }>): Promise<Ready> {
  const near = connectTo(from);
  const far = connectTo(to);
  const publisher = near.publisher();
  const source = new EventSource();
  const subscriber = far.subscribe({
    subscription: { name: `bench-${randomUUID()}`, topicFilters: [ALL_TOPICS] },
    convergeMs: CONVERGE_MS,
  });
  let arrived: (() => void) | undefined;
  const consuming = (async () => {
    for await (const delivery of subscriber) {
      delivery.accept();
      arrived?.();
    }
  })();
  const opened = await subscriber.opened;
  if (opened.unreachableSites.length > 0) {
    throw new Error(`not reachable: ${opened.unreachableSites.join(', ')}`);
  }
  const ended = consuming.then(() => {
    throw new Error('the subscription ended early');
  });
  ended.catch(() => undefined);
  const each = async (): Promise<number> => {
    const event = source.next();
    const delivered = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const startedMs = performance.now();
    const receipt = publisher.publish(source.topic, event);
    await Promise.race([delivered, ended]);
    const tookMs = performance.now() - startedMs;
    await receipt;
    return tookMs;
  };
  for (let i = 0; i < WARM_UP_EVENTS; i++) await each();
  return {
    async run() {
      const tookMs: number[] = [];
      for (let i = 0; i < events; i++) tookMs.push(await each());
      return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) };
    },
    async close() {
      await publisher.close();
      subscriber.close();
      near.close();
      far.close();
    },
  };
}
