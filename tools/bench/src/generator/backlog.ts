import { randomUUID } from 'node:crypto';
import { ALL_TOPICS, EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { connectTo, publishAll } from './publish.ts';

/** A consumer that takes its credit and settles nothing, while events pile up behind it. */
export async function backlog({ site, events }: Extract<Job, { kind: 'backlog' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  const subscriber = client.subscribe({
    subscription: {
      name: `bench-${randomUUID()}`,
      topicFilters: [ALL_TOPICS],
      ackTimeoutMs: 3_600_000,
    },
    credit: 512,
  });
  let received = 0;
  const consuming = (async () => {
    for await (const batch of subscriber.batches()) received += batch.length;
  })();
  await subscriber.opened;
  return {
    async run() {
      await Promise.race([
        publishAll(publisher, new EventSource(), events),
        consuming.then(() => {
          throw new Error('the subscription ended early');
        }),
      ]);
      return { received };
    },
    async close() {
      consuming.catch(() => undefined);
      await publisher.close();
      subscriber.close();
      client.close();
    },
  };
}
