import { EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { WARM_UP_SECONDS, paced } from './paced.ts';
import { connectTo, publishAll } from './publish.ts';

const WARM_UP_EVENTS = 20_000;

/** Publishes to durable receipt at a fixed rate over a gRPC stream. */
export async function pacedPublish({
  site,
  events,
  rate,
}: Extract<Job, { kind: 'paced-publish' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  const source = new EventSource();
  const send = (count: number) =>
    Array.from({ length: count }, () => {
      const event = source.next();
      return publisher.publish(source.topic, event);
    });
  await publishAll(publisher, source, WARM_UP_EVENTS);
  await paced(rate, rate * WARM_UP_SECONDS, send);
  return {
    run: () => paced(rate, events, send),
    async close() {
      await publisher.close();
      client.close();
    },
  };
}
