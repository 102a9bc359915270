import type { MeshClient } from '@eventmesh/sdk';
import { consumeSse } from '../dev/sse.ts';
import type { Recorder } from './recorder.ts';
import type { DemoSubscription } from './subscriptions.ts';

/** Where and as whom the demo consumes. */
export interface ConsumeTarget {
  readonly http: string;
  readonly authorization: string;
  readonly client: MeshClient;
}

/** A running consumer: `ready` once events will come, `done` once it has ended. */
export interface Consumer {
  readonly ready: Promise<void>;
  readonly done: Promise<void>;
}

/** Consumes one subscription over its protocol until the signal aborts. */
export function consume(
  subscription: DemoSubscription,
  target: ConsumeTarget,
  recorder: Recorder,
  signal: AbortSignal,
): Consumer {
  return subscription.protocol === 'grpc'
    ? consumeGrpc(subscription, target, recorder, signal)
    : consumeHttp(subscription, target, recorder, signal);
}

function consumeGrpc(
  { name }: DemoSubscription,
  { client }: ConsumeTarget,
  recorder: Recorder,
  signal: AbortSignal,
): Consumer {
  const subscriber = client.subscribe({ subscription: name });
  signal.addEventListener('abort', () => subscriber.close(), { once: true });
  const done = (async () => {
    for await (const { event, topic, attempt, accept } of subscriber) {
      const { id, source, type, data } = event;
      recorder.receive(name, {
        id,
        source,
        type,
        topic,
        attempt,
        key: event.text('partitionkey') ?? '',
        data: data?.bytes ?? new Uint8Array(),
      });
      accept();
      recorder.accepted(name, id);
    }
  })();
  return { ready: subscriber.opened.then(() => undefined), done };
}

interface JsonEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly partitionkey?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
}

function consumeHttp(
  { name }: DemoSubscription,
  { http, authorization }: ConsumeTarget,
  recorder: Recorder,
  signal: AbortSignal,
): Consumer {
  const opened = Promise.withResolvers<void>();
  const done = (async () => {
    const stream = consumeSse({
      base: http,
      authorization,
      subscription: name,
      signal,
      onOpen: () => opened.resolve(),
    });
    for await (const { data } of stream) {
      const { topic, event, attempt } = readEnvelope(data);
      recorder.receive(name, {
        id: event.id,
        source: event.source,
        type: event.type,
        key: event.partitionkey ?? '',
        topic,
        attempt,
        data: dataOf(event),
      });
    }
  })();
  return { ready: Promise.race([opened.promise, done]), done };
}

/** JSON data as the producer wrote it: without spaces and in its order, so it is the same again. */
function dataOf({ data, data_base64: base64 }: JsonEvent): Uint8Array {
  return base64 === undefined ? Buffer.from(JSON.stringify(data)) : Buffer.from(base64, 'base64');
}

function readEnvelope(text: string): { topic: string; attempt: number; event: JsonEvent } {
  return JSON.parse(text) as { topic: string; attempt: number; event: JsonEvent };
}
