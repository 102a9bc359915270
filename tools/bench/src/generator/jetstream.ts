import { jetstream as jetstreamClient, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';

const BATCH_EVENTS = 500;
const BATCHES_OPEN = 3;
const WARM_UP_EVENTS = 10_000;

/** What JetStream gives at best when it syncs before each answer: big atomic batches. */
export async function jetstream({
  url,
  events,
}: Extract<Job, { kind: 'jetstream' }>): Promise<Ready> {
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
  const batch = async (size: number) => {
    const open = await js.startBatch(subject, source.next());
    for (let i = 1; i < size - 1; i++) void open.add(subject, source.next());
    const { count } = await open.commit(subject, source.next());
    if (count !== size) throw new Error(`the server stored ${count} of ${size} events`);
  };
  const publishAll = async (count: number) => {
    let left = count;
    const worker = async () => {
      while (left > 0) {
        const size = Math.min(BATCH_EVENTS, left);
        left -= size;
        await batch(size);
      }
    };
    await Promise.all(Array.from({ length: BATCHES_OPEN }, worker));
  };
  await publishAll(WARM_UP_EVENTS);
  return {
    async run() {
      await publishAll(events);
      return {};
    },
    async close() {
      await manager.streams.delete(stream);
      await nc.close();
    },
  };
}
