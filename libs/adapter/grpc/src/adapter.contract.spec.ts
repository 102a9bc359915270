import type { MeshPort, ProtocolAdapter } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeEvent } from '@eventmesh/event';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import {
  Settle_Outcome,
  SubscriberService,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import {
  PublisherService as WirePublisherService,
  SubscriberService as WireSubscriberService,
} from '@eventmesh/proto-gen/wire';
import { AsyncQueue, Router, RpcServer, createClient, grpcTransport } from '@eventmesh/rpc';
import {
  WireRefusal,
  describeAdapterContract,
  type WireClient,
  type WireDelivery,
  type WireStream,
} from '@eventmesh/testing';
import { addGrpcAdapter } from './index.ts';

/** The adapter has no listener of its own: it is served by the emesher's gRPC server. */
function makeAdapter(port: MeshPort): ProtocolAdapter {
  const router = new Router();
  addGrpcAdapter(router, port);
  const server = new RpcServer(router, { port: 0 });
  return {
    name: 'grpc',
    start: () => server.start(),
    drain: (deadlineMs) => server.drain(deadlineMs),
    stop: () => Promise.resolve(server.stop()),
    addresses: () => ({ grpc: server.address }),
  };
}

const refusal = (thrown: unknown): WireRefusal => {
  const error = MeshError.from(thrown);
  return new WireRefusal(error.code, error.message, error.reason);
};

const OUTCOMES = {
  accept: Settle_Outcome.ACCEPT,
  release: Settle_Outcome.RELEASE,
  reject: Settle_Outcome.REJECT,
};

type Client = ReturnType<typeof createClient<typeof WireSubscriberService>>;

async function consume(client: Client, name: string, credit: number): Promise<WireStream> {
  const requests = new AsyncQueue<SubscribeRequest>();
  const open = { subscription: { case: 'name', value: name }, credit: { events: credit } };
  requests.push({ message: { case: 'open', value: open } } as SubscribeRequest);
  const deliveries: WireDelivery[] = [];
  const ids = new Map<WireDelivery, bigint>();
  const opened = Promise.withResolvers<void>();
  const leave = new AbortController();
  let reading = Promise.resolve();
  let resume: () => void = () => undefined;
  const ended = (async () => {
    try {
      for await (const { message } of client.subscribe(requests, { signal: leave.signal })) {
        if (message.case === 'opened') opened.resolve();
        for (const each of message.case === 'deliveries' ? message.value.deliveries : []) {
          const event = new EventView(each.event);
          const data = Buffer.from(event.data?.bytes ?? '').toString();
          const delivery = { topic: each.topic, id: event.id, data, attempt: each.attempt };
          ids.set(delivery, each.id);
          deliveries.push(delivery);
        }
        await reading;
      }
    } catch (error) {
      opened.reject(refusal(error));
    }
  })();
  await opened.promise;
  return {
    deliveries,
    ended,
    settle(delivery, outcome) {
      const id = ids.get(delivery) ?? 0n;
      const value = { ids: [id], outcome: OUTCOMES[outcome], delayMs: 0n, reason: 'contract' };
      requests.push({ message: { case: 'settle', value } } as SubscribeRequest);
      requests.push({ message: { case: 'credit', value: { events: 1 } } } as SubscribeRequest);
      return Promise.resolve();
    },
    pause() {
      reading = new Promise((resolve) => {
        resume = resolve;
      });
    },
    resume: () => resume(),
    async close() {
      resume();
      leave.abort();
      await ended;
    },
  };
}

describeAdapterContract('grpc', {
  makeAdapter,
  connect: (addresses, authorization): Promise<WireClient> => {
    const transport = grpcTransport({
      address: addresses['grpc'] ?? '',
      metadata: () => (authorization === undefined ? {} : { authorization }),
    });
    const publisher = createClient(WirePublisherService, transport, PublisherService);
    const subscriber = createClient(WireSubscriberService, transport, SubscriberService);
    const streams: WireStream[] = [];
    return Promise.resolve({
      async publish({ topic, data, ...event }) {
        const bytes = encodeEvent({
          ...event,
          attributes: [['datacontenttype', { kind: 'string', value: 'text/plain' }]],
          data: { kind: 'text', bytes: Buffer.from(data) },
        });
        try {
          const { receipt } = await publisher.publish({ topic, event: bytes });
          return {
            partition: receipt?.partition ?? -1,
            position: Number(receipt?.position ?? -1n),
            duplicate: receipt?.duplicate ?? false,
          };
        } catch (error) {
          throw refusal(error);
        }
      },
      async subscribe(subscription, credit) {
        const stream = await consume(subscriber, subscription, credit);
        streams.push(stream);
        return stream;
      },
      async close() {
        await Promise.all(streams.map((stream) => stream.close()));
        transport.close();
      },
    });
  },
});
