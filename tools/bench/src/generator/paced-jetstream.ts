import { jetstream as jetstreamClient, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';
import { WARM_UP_SECONDS, paced } from './paced.ts';

const BATCH_EVENTS_MAX = 500;
const BATCHES_OPEN = 2;

/**
 * The same without the mesh: what gathers while atomic batches are in flight is the next batch, so
 * that an idle stream is quick and a busy one sends big batches.
 */
export async function pacedJetStream({
  url,
  events,
  rate,
}: Extract<Job, { kind: 'paced-jetstream' }>): Promise<Ready> {
  const nc = await connect({ servers: url });
  const js = jetstreamClient(nc);
  const manager = await jetstreamManager(nc);
  const stream = `bench-${Date.now()}`;
  await manager.streams.add({
    name: stream,
    subjects: [`${stream}.>`],
    storage: 'file',
    allow_atomic: true,
  });
  const source = new EventSource();
  const subject = `${stream}.events`;
  let queue: (() => void)[] = [];
  let inFlight = 0;
  const commit = async (size: number) => {
    if (size === 1) {
      await js.publish(subject, source.next());
      return;
    }
    const batch = await js.startBatch(subject, source.next());
    for (let i = 1; i < size - 1; i++) void batch.add(subject, source.next());
    await batch.commit(subject, source.next());
  };
  const pump = () => {
    while (queue.length > 0 && inFlight < BATCHES_OPEN) {
      const taken = queue.slice(0, BATCH_EVENTS_MAX);
      queue = queue.slice(taken.length);
      inFlight++;
      void commit(taken.length).then(() => {
        inFlight--;
        for (const resolve of taken) resolve();
        pump();
      });
    }
  };
  const send = (count: number) => {
    const receipts = Array.from(
      { length: count },
      () => new Promise<void>((resolve) => queue.push(resolve)),
    );
    pump();
    return receipts;
  };
  await paced(rate, rate * WARM_UP_SECONDS, send);
  return {
    run: () => paced(rate, events, send),
    async close() {
      await manager.streams.delete(stream);
      await nc.close();
    },
  };
}
