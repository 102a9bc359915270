/**
 * A process of its own, as another application is: sends one event at a time through a live
 * subscription and measures how long each takes. `live-probe.ts TARGET`, with IPC: it answers each
 * message with the times, in ms, since the message before.
 */
import { randomUUID } from 'node:crypto';
import { EventSource } from './events.ts';
import type { Target } from './job.ts';
import { connectTo } from './publish.ts';

const LIVE_TOPIC = 'live/probe';
/** Pause between two events, in ms. */
const PAUSE_MS = 5;

const client = connectTo(JSON.parse(process.argv[2] ?? '') as Target);
const publisher = client.publisher();
const subscriber = client.subscribe({
  subscription: { name: `live-${randomUUID()}`, topicFilters: [LIVE_TOPIC] },
});
const source = new EventSource();
const deliveries = subscriber[Symbol.asyncIterator]();
let next = deliveries.next();
await subscriber.opened;

let tookMs: number[] = [];
let leaving = false;
process.on('message', () => {
  process.send?.(tookMs);
  tookMs = [];
});
process.once('disconnect', () => {
  leaving = true;
});
process.send?.([]);
while (!leaving) {
  const startedMs = performance.now();
  const published = publisher.publish(LIVE_TOPIC, source.next());
  const delivered = await next;
  if (delivered.done === true) break;
  delivered.value.accept();
  next = deliveries.next();
  await published;
  tookMs.push(performance.now() - startedMs);
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
await publisher.close();
subscriber.close();
client.close();
