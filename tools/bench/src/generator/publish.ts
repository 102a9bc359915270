import { MeshClient, type StreamPublisher } from '@eventmesh/sdk';
import { MeshError } from '@eventmesh/errors';
import { EventSource } from './events.ts';
import type { Job, Ready, Target } from './job.ts';

/** Events handed to the SDK in one call, and calls that may be open. */
const CALL_EVENTS = 256;
const CALLS_OPEN = 32;
const WARM_UP_EVENTS = 60_000;

export const connectTo = ({ grpc, user, password }: Target): MeshClient =>
  new MeshClient({ address: grpc, user, password });

/** Publishes on a stream with a bounded number of events open; resolves at the last receipt. */
export async function publishAll(
  publisher: StreamPublisher,
  source: EventSource,
  events: number,
): Promise<void> {
  let left = events;
  const worker = async () => {
    while (left > 0) {
      const count = Math.min(CALL_EVENTS, left);
      left -= count;
      const items = Array.from({ length: count }, () => {
        const event = source.next();
        return { topic: source.topic, event };
      });
      for (const outcome of await publisher.publishMany(items)) {
        if (outcome instanceof MeshError) throw outcome;
        if (outcome.duplicate) throw new Error('an event was taken for a duplicate');
      }
    }
  };
  await Promise.all(Array.from({ length: CALLS_OPEN }, worker));
}

/** Publish to durable receipt over a gRPC stream. */
export async function publish({ site, events }: Extract<Job, { kind: 'publish' }>): Promise<Ready> {
  const client = connectTo(site);
  const publisher = client.publisher();
  const source = new EventSource();
  await publishAll(publisher, source, WARM_UP_EVENTS);
  return {
    async run() {
      await publishAll(publisher, source, events);
      return {};
    },
    async close() {
      await publisher.close();
      client.close();
    },
  };
}
