import { randomUUID } from 'node:crypto';
import { MeshError } from '@eventmesh/errors';
import { MeshClient } from '@eventmesh/sdk';
import { pause } from '@eventmesh/time';
import type { SiteAddresses } from '../cli/context-file.ts';
import { sampleOrders, type SampleOrder } from './sample-orders.ts';
import { consumeSse } from './sse.ts';

export interface SampleOptions {
  readonly sites: readonly (readonly [string, SiteAddresses])[];
  readonly users: Readonly<Record<string, string>>;
  /** Events a second over all protocols. */
  readonly rate: number;
  readonly signal: AbortSignal;
  /** Told of what fails; the traffic goes on. */
  readonly onError: (what: string, error: MeshError) => void;
}

const PAUSE_MS = 1000;

/**
 * A small bounded stream of orders: published at the first site by HTTP and gRPC in turn, consumed
 * at every other one by gRPC and by SSE. Resolves when the signal aborts and all is closed.
 */
export async function runSampleTraffic(options: SampleOptions): Promise<void> {
  const [first, ...others] = options.sites;
  if (first === undefined) return;
  const consumers = (others.length === 0 ? [first] : others).flatMap(([name, at]) => [
    again(options, `gRPC consumer at ${name}`, () => consumeGrpc(options, at)),
    again(options, `SSE consumer at ${name}`, () => consumeHttp(options, at)),
  ]);
  await Promise.all([
    ...consumers,
    again(options, `publisher at ${first[0]}`, () => publish(options, first[1])),
  ]);
}

/** Starts a part anew until the signal aborts: sites may restart under it. */
async function again(
  options: SampleOptions,
  what: string,
  run: () => Promise<void>,
): Promise<void> {
  while (!options.signal.aborted) {
    try {
      await run();
    } catch (error) {
      if (options.signal.aborted) return;
      options.onError(what, MeshError.from(error));
    }
    await pause(PAUSE_MS, options.signal);
  }
}

async function consumeGrpc({ users, signal }: SampleOptions, at: SiteAddresses): Promise<void> {
  const client = new MeshClient({
    address: at.grpc,
    user: 'subscriber',
    password: users['subscriber'] ?? '',
  });
  try {
    const subscriber = client.subscribe({
      subscription: {
        name: 'sample-eu-orders',
        topicFilters: ['shop/eu/#'],
        filters: [{ prefix: { type: 'com.example.order.' } }],
      },
    });
    const stop = () => subscriber.close();
    signal.addEventListener('abort', stop, { once: true });
    for await (const delivery of subscriber) delivery.accept();
    signal.removeEventListener('abort', stop);
  } finally {
    client.close();
  }
}

async function consumeHttp({ users, signal }: SampleOptions, at: SiteAddresses): Promise<void> {
  const stream = consumeSse({
    base: at.http,
    authorization: basic('subscriber', users),
    topicFilters: ['shop/+/orders/paid'],
    signal,
  });
  let events = 0;
  for await (const _event of stream) events++;
  if (events === 0 && !signal.aborted) throw new MeshError('Unavailable', 'the stream ended');
}

async function publish(options: SampleOptions, at: SiteAddresses): Promise<void> {
  const { users, signal, rate } = options;
  const client = new MeshClient({
    address: at.grpc,
    user: 'publisher',
    password: users['publisher'] ?? '',
  });
  const stream = client.publisher();
  try {
    let byHttp = false;
    for (const order of sampleOrders()) {
      if (signal.aborted) break;
      byHttp = !byHttp;
      if (byHttp) await publishHttp(order, at, basic('publisher', users));
      else await stream.publish(order.topic, event(order));
      await pause(1000 / rate, signal);
    }
    await stream.close();
  } finally {
    client.close();
  }
}

const basic = (name: string, users: Readonly<Record<string, string>>): string =>
  `Basic ${Buffer.from(`${name}:${users[name] ?? ''}`).toString('base64')}`;

const SOURCE = '/sample/shop';

const event = (order: SampleOrder) => ({
  id: randomUUID(),
  source: SOURCE,
  type: order.type,
  time: new Date(),
  partitionkey: order.key,
  data: order.data,
});

/** CloudEvents HTTP binding, binary mode. */
async function publishHttp(
  order: SampleOrder,
  at: SiteAddresses,
  authorization: string,
): Promise<void> {
  const response = await fetch(`${at.http}/v1/topics/${order.topic}`, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': randomUUID(),
      'ce-source': SOURCE,
      'ce-type': order.type,
      'ce-time': new Date().toISOString(),
      'ce-partitionkey': order.key,
    },
    body: JSON.stringify(order.data),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new MeshError('Unavailable', `${response.status} ${text.slice(0, 200)}`);
}
