import { MeshError } from '@eventmesh/errors';
import type { EventLike, MeshClient } from '@eventmesh/sdk';
import { errorOf } from '../cli/http-client.ts';
import type { Payload } from './payloads.ts';
import type { Recorder } from './recorder.ts';

/** Where and as whom the demo publishes. */
export interface PublishTarget {
  /** Base URL of the HTTP API. */
  readonly http: string;
  readonly authorization: string;
  readonly client: MeshClient;
}

/** A way to publish: sends its payloads in order and tells the recorder. */
type Producer = (
  target: PublishTarget,
  payloads: readonly Payload[],
  recorder: Recorder,
) => Promise<void>;

const BATCH_MAX = 20;

/** The five ways in, each a producer of its own. */
export const PRODUCERS: Readonly<Record<string, Producer>> = Object.freeze({
  'HTTP binary': oneByOne('HTTP binary', (target, payload) =>
    post(target, payload.topic, payload.data, {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': payload.id,
      'ce-source': payload.source,
      'ce-type': payload.type,
      'ce-partitionkey': payload.key,
    }),
  ),
  'HTTP structured': oneByOne('HTTP structured', (target, payload) =>
    post(target, payload.topic, structured(payload), {
      'content-type': 'application/cloudevents+json',
    }),
  ),
  'HTTP batch': async (target, payloads, recorder) => {
    for (const batch of batches(payloads)) {
      for (const payload of batch) recorder.sending('HTTP batch', payload);
      const body = `[${batch.map(structured).join(',')}]`;
      const outcomes = await post(target, batch[0]?.topic ?? '', body, {
        'content-type': 'application/cloudevents-batch+json',
      }).then(
        (reply) => outcomesOf(reply, batch.length),
        (error: unknown) => batch.map(() => endOf(error)),
      );
      for (const [index, payload] of batch.entries()) {
        recorder.ended(outcomes[index] ?? 'unknown', payload.id);
      }
    }
  },
  'gRPC unary': oneByOne('gRPC unary', (target, payload) =>
    target.client.publish(payload.topic, event(payload)),
  ),
  'gRPC stream': async (target, payloads, recorder) => {
    const stream = target.client.publisher();
    await Promise.all(
      payloads.map((payload) => {
        recorder.sending('gRPC stream', payload);
        return stream.publish(payload.topic, event(payload)).then(
          () => recorder.ended('ok', payload.id),
          (error: unknown) => recorder.ended(endOf(error), payload.id),
        );
      }),
    );
    await stream.close();
  },
});

/** Publishes everything, all producers at once; each (topic, key) belongs to one of them. */
export async function publishAll(
  target: PublishTarget,
  payloads: readonly Payload[],
  recorder: Recorder,
): Promise<void> {
  const shares = share(payloads, Object.keys(PRODUCERS));
  await Promise.all(
    Object.entries(PRODUCERS).map(([name, produce]) =>
      produce(target, shares.get(name) ?? [], recorder),
    ),
  );
}

/** Deals lanes of (topic, key) out so that each name has about as many payloads. */
export function share(
  payloads: readonly Payload[],
  names: readonly string[],
): ReadonlyMap<string, readonly Payload[]> {
  const lanes = Map.groupBy(payloads, ({ topic, key }) => JSON.stringify([topic, key]));
  const shares = new Map<string, Payload[]>(names.map((name) => [name, []]));
  for (const lane of lanes.values()) {
    const [least] = [...shares.values()].sort((a, b) => a.length - b.length);
    least?.push(...lane);
  }
  return shares;
}

function oneByOne(
  producer: string,
  send: (target: PublishTarget, payload: Payload) => Promise<unknown>,
): Producer {
  return async (target, payloads, recorder) => {
    for (const payload of payloads) {
      recorder.sending(producer, payload);
      const end = await send(target, payload).then(
        () => 'ok' as const,
        (error: unknown) => endOf(error),
      );
      recorder.ended(end, payload.id);
    }
  };
}

/** A refusal is certain; anything else may have been stored all the same. */
function endOf(error: unknown): 'fail' | 'unknown' {
  const { code } = MeshError.from(error);
  const unsure = ['Unavailable', 'DeadlineExceeded', 'Cancelled', 'Internal'].includes(code);
  return unsure ? 'unknown' : 'fail';
}

const event = ({ id, source, type, key, data }: Payload): EventLike => ({
  id,
  source,
  type,
  partitionkey: key,
  datacontenttype: 'application/json',
  data,
});

/** The JSON event format, with the data as it is: it is JSON already. */
function structured({ id, source, type, key, data }: Payload): string {
  const attributes = {
    specversion: '1.0',
    id,
    source,
    type,
    partitionkey: key,
    datacontenttype: 'application/json',
  };
  return `${JSON.stringify(attributes).slice(0, -1)},"data":${data.toString('utf8')}}`;
}

function* batches(payloads: readonly Payload[]): Generator<readonly Payload[]> {
  for (const group of Map.groupBy(payloads, ({ topic }) => topic).values()) {
    for (let from = 0; from < group.length; from += BATCH_MAX) {
      yield group.slice(from, from + BATCH_MAX);
    }
  }
}

async function post(
  { http, authorization }: PublishTarget,
  topic: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
): Promise<unknown> {
  const path = topic.split('/').map(encodeURIComponent).join('/');
  const response = await fetch(`${http}/v1/topics/${path}`, {
    method: 'POST',
    headers: { authorization, ...headers },
    body: body as string,
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  return JSON.parse(text) as unknown;
}

/** One outcome for each event of a batch, in order; refusals have the status of an error. */
function outcomesOf(reply: unknown, events: number): ('ok' | 'fail' | 'unknown')[] {
  const { outcomes } = reply as { outcomes?: readonly { status: number }[] };
  if (outcomes?.length !== events) return Array.from({ length: events }, () => 'unknown' as const);
  return outcomes.map(({ status }) => (status < 300 ? 'ok' : status < 500 ? 'fail' : 'unknown'));
}
