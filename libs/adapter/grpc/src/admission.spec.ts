import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Router, RpcServer } from '@eventmesh/rpc';
import { MemoryMesh } from '@eventmesh/testing';
import { addGrpcAdapter } from './index.ts';

const [DEADLINE_EXCEEDED, UNAUTHENTICATED] = ['4', '16'];

const router = new Router();
addGrpcAdapter(router, new MemoryMesh());
const server = new RpcServer(router, { port: 0 });
let session: ClientHttp2Session;

beforeAll(async () => {
  await server.start();
  session = connect(`http://${server.address}`);
});
afterAll(() => {
  session.destroy();
  server.stop();
});

/** A call of somebody who keeps to no rules: its side is never ended. */
const open = (path: string, headers: Record<string, string> = {}, on = session) =>
  on.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });

it.each([...router.routes.keys()])(
  '%s answers a caller without credentials before it has read the message',
  async (path) => {
    // The head of a message of 15 MiB, of which nothing follows.
    const call = open(path);
    call.write(Buffer.from([0, 0, 0xf0, 0, 0]));
    const closed = once(call.resume(), 'close');
    const [headers] = (await once(call, 'response')) as [Record<string, string>];
    expect(headers['grpc-status']).toBe(UNAUTHENTICATED);
    await closed;
  },
);

it('a consumer that never opens is told so, and a publisher may wait for its first event', async () => {
  const hasty = new RpcServer(router, { port: 0, firstMessageMs: 40 });
  await hasty.start();
  const calls = connect(`http://${hasty.address}`);
  const authorization = 'Bearer alice';
  const publishing = open(
    '/eventmesh.publisher.v1.PublisherService/PublishStream',
    { authorization },
    calls,
  );
  // The window, which comes first.
  await once(publishing, 'data');
  const [headers] = (await once(
    open('/eventmesh.subscriber.v1.SubscriberService/Subscribe', { authorization }, calls).resume(),
    'response',
  )) as [Record<string, string>];
  expect(headers['grpc-status']).toBe(DEADLINE_EXCEEDED);
  expect(publishing.closed).toBe(false);
  calls.destroy();
  hasty.stop();
});

it.each([
  ['that are no message', [0x0a, 0x7f, 0x01], 'eventmesh.publisher.v1.PublishRequest'],
  ['whose topic is not UTF-8', [0x0a, 2, 0x61, 0xff], 'topic: '],
])('bytes %s are told by the names that callers know', async (_, message, told) => {
  const body = Buffer.from([0, 0, 0, 0, message.length, ...message]);
  const path = '/eventmesh.publisher.v1.PublisherService/Publish';
  const call = open(path, { authorization: 'Bearer alice' });
  call.end(body);
  const [headers] = (await once(call.resume(), 'response')) as [Record<string, string>];
  expect(decodeURI(headers['grpc-message'] ?? '')).toContain(told);
});
