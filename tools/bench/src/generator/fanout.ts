import { randomUUID } from 'node:crypto';
import { ALL_TOPICS, EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { connectTo, publishAll } from './publish.ts';

const CREDIT = 8192;
const WARM_UP_EVENTS = 30_000;

/** One publisher, several durable subscriptions that each get every event; all of them settle. */
export async function fanout({
  site,
  events,
  subscriptions,
}: Extract<Job, { kind: 'fanout' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  const source = new EventSource();
  let wanted = 0;
  let received = 0;
  let all: (() => void) | undefined;
  const subscribers = Array.from({ length: subscriptions }, () =>
    client.subscribe({
      subscription: {
        name: `bench-${randomUUID()}`,
        topicFilters: [ALL_TOPICS],
        inFlightMax: 16_384,
      },
      credit: CREDIT,
    }),
  );
  const consuming = subscribers.map(async (subscriber) => {
    for await (const batch of subscriber.batches()) {
      subscriber.accept(batch.map(({ id }) => id));
      received += batch.length;
      if (received >= wanted) all?.();
    }
  });
  await Promise.all(subscribers.map(({ opened }) => opened));
  const ended = Promise.race(consuming).then(() => {
    throw new Error('a subscription ended early');
  });
  const through = async (count: number) => {
    wanted = received + count * subscriptions;
    const delivered = new Promise<void>((resolve) => {
      all = resolve;
    });
    await Promise.race([Promise.all([publishAll(publisher, source, count), delivered]), ended]);
    if (received !== wanted) throw new Error(`${received - wanted} events came twice`);
  };
  await through(WARM_UP_EVENTS);
  return {
    async run() {
      await through(events);
      return {};
    },
    async close() {
      // Closing ends the streams in whatever state they are.
      ended.catch(() => undefined);
      for (const each of consuming) each.catch(() => undefined);
      await publisher.close();
      for (const subscriber of subscribers) subscriber.close();
      client.close();
    },
  };
}
