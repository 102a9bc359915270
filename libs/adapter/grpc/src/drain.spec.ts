import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { EventView, encodeEvent } from '@eventmesh/event';
import {
  Settle_Outcome,
  SubscriberService,
  type SubscribeRequest,
  type SubscribeRequestSchema,
} from '@eventmesh/proto-gen/subscriber';
import { SubscriberService as WireSubscriberService } from '@eventmesh/proto-gen/wire';
import { AsyncQueue, Router, RpcServer, createClient, grpcTransport } from '@eventmesh/rpc';
import { MemoryMesh } from '@eventmesh/testing';
import { addGrpcAdapter } from './index.ts';

let mesh: MemoryMesh;
let server: RpcServer;
let transport: ReturnType<typeof grpcTransport>;

beforeEach(async () => {
  mesh = new MemoryMesh();
  const router = new Router();
  addGrpcAdapter(router, mesh);
  server = new RpcServer(router, { port: 0 });
  await server.start();
  const metadata = () => ({ authorization: 'Bearer alice' });
  transport = grpcTransport({ address: server.address, metadata });
  await mesh.subscriptions.create(await session(), { name: 'work', topicFilters: ['#'] });
});

afterEach(() => {
  transport.close();
  server.stop();
  mesh.close();
});

const session = () => mesh.authenticate('Bearer alice');

async function publish(...ids: string[]): Promise<void> {
  const events = ids.map((id) => encodeEvent({ id, source: '/s', type: 't' }));
  await mesh.publish(
    await session(),
    events.map((event) => ({ topic: 'a', event })),
  );
}

type Said = MessageInitShape<typeof SubscribeRequestSchema>['message'];

/** A consumer that says things, and is told others in the order in which they come. */
function consume() {
  const requests = new AsyncQueue<SubscribeRequest>();
  const say = (message: Said) => requests.push({ message } as SubscribeRequest);
  say({ case: 'open', value: { subscription: { case: 'name', value: 'work' } } });
  const client = createClient(WireSubscriberService, transport, SubscriberService);
  const told = client.subscribe(requests)[Symbol.asyncIterator]();
  const ids: bigint[] = [];
  const next = async (): Promise<string> => {
    const answer = await told.next();
    const message = answer.done === true ? undefined : answer.value.message;
    if (message?.case !== 'deliveries') return message?.case ?? 'nothing';
    const all = message.value.deliveries.map(({ id, attempt, event }) => {
      ids.push(id);
      return `${new EventView(event).id}@${attempt}`;
    });
    return all.join(' ');
  };
  return { say, next, ids, end: () => requests.end() };
}

describe('a gRPC consumer that takes its credit back', () => {
  it('gets what is there, is told, and gets nothing more until it gives credit anew', async () => {
    await publish('1', '2');
    const { say, next, end } = consume();
    expect(await next()).toBe('opened');
    say({ case: 'credit', value: { events: 10, bytes: 1000n, drain: true } });
    expect([await next(), await next()]).toEqual(['1@1 2@1', 'drained']);
    await publish('3', '4');
    say({ case: 'credit', value: { drain: true } });
    expect(await next()).toBe('drained');
    say({ case: 'credit', value: { events: 1 } });
    expect(await next()).toBe('3@1');
    end();
  });

  it('returns what it has not looked at, which was no attempt', async () => {
    await publish('1', '2');
    const { say, next, ids, end } = consume();
    await next();
    say({ case: 'credit', value: { events: 2, drain: true } });
    expect([await next(), await next()]).toEqual(['1@1 2@1', 'drained']);
    say({ case: 'settle', value: { ids, outcome: Settle_Outcome.RETURN } });
    say({ case: 'credit', value: { events: 2, drain: true } });
    expect([await next(), await next()]).toEqual(['1@1 2@1', 'drained']);
    end();
  });
});
