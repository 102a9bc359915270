import { randomUUID } from 'node:crypto';
import { ALL_TOPICS, EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { connectTo, publishAll } from './publish.ts';

const CREDIT = 8192;
const WARM_UP_EVENTS = 60_000;

/** Publish to settled delivery, one consumer; accepts each frame of deliveries in one go. */
export async function deliver({ site, events }: Extract<Job, { kind: 'deliver' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  const source = new EventSource();
  const subscriber = client.subscribe({
    subscription: {
      name: `bench-${randomUUID()}`,
      topicFilters: [ALL_TOPICS],
      inFlightMax: 16_384,
    },
    credit: CREDIT,
  });
  let wanted = 0;
  let received = 0;
  let all: (() => void) | undefined;
  const consuming = (async () => {
    for await (const batch of subscriber.batches()) {
      subscriber.accept(batch.map(({ id }) => id));
      received += batch.length;
      if (received >= wanted) all?.();
    }
  })();
  await subscriber.opened;
  const through = async (count: number) => {
    wanted = received + count;
    const delivered = new Promise<void>((resolve) => {
      all = resolve;
    });
    await Promise.race([
      Promise.all([publishAll(publisher, source, count), delivered]),
      consuming.then(() => {
        throw new Error('the subscription ended early');
      }),
    ]);
    if (received !== wanted) throw new Error(`${received - wanted} events came twice`);
  };
  await through(WARM_UP_EVENTS);
  return {
    async run() {
      await through(events);
      return {};
    },
    async close() {
      consuming.catch(() => undefined); // Closing ends the stream in whatever state it is.
      await publisher.close();
      subscriber.close();
      client.close();
    },
  };
}
