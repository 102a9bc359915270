import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { LinkService } from '@eventmesh/proto-gen/link';
import { MessageBudget, Metrics } from '@eventmesh/telemetry';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import { Admission } from './admission.ts';
import { MESSAGE_BYTES_MAX, Router, RpcServer, createClient, grpcTransport } from './index.ts';
import { fromServiceError } from './status.ts';

const MIB = 1024 * 1024;
const LINK = `/${LinkService.typeName}/Link`;
const TRACE = `/${LinkService.typeName}/Trace`;
const BYTES = 'eventmesh_grpc_unfinished_bytes';
const REFUSED = 'eventmesh_grpc_unfinished_refused_total';

let failed: string[];
let outcomes: string[];
let metrics: Metrics;
let warnings: object[];
let server: RpcServer;
let sessions: ClientHttp2Session[];
let sockets: Socket[];

function makeRouter(): Router {
  // What a call of an earlier test ends with is told to that one.
  const told = { failed, outcomes };
  return new Router()
    .use(async ({ path }, next) => {
      try {
        return await next();
      } catch (error) {
        told.outcomes.push(`${path} ${MeshError.from(error).reason}`);
        throw error;
      }
    })
    .service(LinkService, {
      trace: () => Promise.resolve({}),
      async *link(requests) {
        yield { message: { case: 'pong', value: {} } };
        try {
          for await (const request of requests) {
            expect(request).toBeDefined();
            yield { message: { case: 'pong', value: {} } };
          }
        } catch (error) {
          told.failed.push(MeshError.from(error).reason);
          throw error;
        }
      },
    });
}

const bytesHeld = async () => {
  await metrics.render();
  return metrics.value(BYTES);
};

async function session(): Promise<ClientHttp2Session> {
  // What is written and not sent counts as memory of the session, in MB.
  const opened = connect(`http://${server.address}`, { maxSessionMemory: 100 });
  opened.on('error', () => undefined);
  sessions.push(opened);
  await once(opened, 'remoteSettings');
  return opened;
}

/** A call that sends so much of a message of the largest size, and then nothing. */
function begin(on: ClientHttp2Session, path: string, bytes: number) {
  const call: ClientHttp2Stream = on.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => undefined);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(MESSAGE_BYTES_MAX, 1);
  call.write(Buffer.concat([head, Buffer.alloc(bytes)]));
  return { call, ended: statusOf(call) };
}

/** How a call ends, whether its status comes with the headers or behind messages. */
async function statusOf(call: ClientHttp2Stream): Promise<MeshError> {
  let status: Record<string, unknown> = {};
  const take = (headers: Record<string, unknown>) => {
    if (headers['grpc-status'] !== undefined) status = headers;
  };
  call.on('response', take).on('trailers', take).resume();
  await once(call, 'close');
  const metadata = new Metadata();
  const details = status['grpc-status-details-bin'];
  if (typeof details === 'string') {
    metadata.set('grpc-status-details-bin', Buffer.from(details, 'base64'));
  }
  const code = Number(status['grpc-status']);
  return fromServiceError({ code, details: '', metadata } as ServiceError);
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setImmediate(resolve));
}

async function start(options: { connectionsMax?: number } = {}): Promise<void> {
  server = new RpcServer(makeRouter(), {
    port: 0,
    unfinishedBytesMax: 18 * MIB,
    metrics,
    log: { warn: (facts: object) => void warnings.push(facts) },
    ...options,
  });
  await server.start();
}

beforeEach(() => {
  failed = [];
  outcomes = [];
  warnings = [];
  sessions = [];
  sockets = [];
  metrics = new Metrics();
});
afterEach(() => {
  for (const each of sessions) each.destroy();
  for (const each of sockets) each.destroy();
  server.stop();
});

describe('messages that have come in part', () => {
  it('are refused beyond the budget of the server, the largest first, and then dropped', async () => {
    await start();
    const [mine, theirs] = [await session(), await session()];
    const large = begin(mine, TRACE, 10 * MIB);
    await until(async () => (await bytesHeld()) === 10 * MIB);
    const small = begin(theirs, TRACE, 4 * MIB);
    await until(async () => (await bytesHeld()) === 14 * MIB);
    begin(mine, LINK, 5 * MIB);
    expect(await large.ended).toMatchObject({
      code: 'ResourceExhausted',
      details: {
        field: 'request',
        limit: `${18 * MIB} bytes`,
        reason: 'UNFINISHED_MESSAGES',
        retryAfterMs: 1000,
      },
    });
    await until(async () => (await bytesHeld()) === 9 * MIB);
    expect(small.call.closed).toBe(false);
    expect(await metrics.value(REFUSED)).toBe(1);
    // As for every refusal of a call of one message whose handler was never asked.
    expect(outcomes).toEqual([`${TRACE} UNFINISHED_MESSAGES`]);
  });

  it('of a stream that goes on for long end it with its status, and its handler is told', async () => {
    await start();
    const link = begin(await session(), LINK, 10 * MIB);
    await once(link.call, 'response');
    await until(async () => (await bytesHeld()) === 10 * MIB);
    begin(await session(), TRACE, 9 * MIB);
    expect(await link.ended).toMatchObject({ details: { reason: 'UNFINISHED_MESSAGES' } });
    await until(() => failed.length > 0);
    expect(failed).toEqual(['UNFINISHED_MESSAGES']);
    await until(async () => (await bytesHeld()) === 9 * MIB);
  });

  it('are counted no more when they are whole, or their caller is gone', async () => {
    await start();
    const calls = await session();
    const whole = begin(calls, TRACE, 6 * MIB);
    await until(async () => (await bytesHeld()) === 6 * MIB);
    whole.call.end(Buffer.alloc(MESSAGE_BYTES_MAX - 6 * MIB));
    // Zeros are no message: it was read to its end.
    expect(await whole.ended).toMatchObject({ code: 'InvalidArgument' });
    expect(await bytesHeld()).toBe(0);
    const gone = begin(calls, TRACE, 6 * MIB);
    await until(async () => (await bytesHeld()) === 6 * MIB);
    gone.call.close();
    await until(async () => (await bytesHeld()) === 0);
    expect(await metrics.value(REFUSED)).toBe(0);
  });

  it('are dropped when their call is over, though its caller keeps it open', async () => {
    await start();
    const decoder = new StreamDecoder(MESSAGE_BYTES_MAX);
    const budget = new MessageBudget({ max: 18 * MIB, field: 'request' });
    const admission = new Admission({
      ...{ budget, routes: makeRouter().routes, firstMessageMs: 10_000 },
      draining: new AbortController().signal,
      onRefused: () => undefined,
    });
    const listener = { onCancel: () => undefined };
    const serializeMessage = () => Buffer.alloc(0);
    const inner = {
      ...{ stream: {}, decoder, serializeMessage },
      wantTrailers: false,
      start: () => undefined,
    };
    admission.interceptor({ path: TRACE } as never, inner as never).start(listener as never);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(MESSAGE_BYTES_MAX, 1);
    decoder.write(Buffer.concat([head, Buffer.alloc(MIB)]));
    expect(budget.bytes).toBe(MIB);
    // What grpc-js calls once it has sent a status, as when the deadline has passed.
    listener.onCancel();
    expect([budget.bytes, Reflect.get(decoder, 'readPartialMessage')]).toEqual([0, []]);
  });
});

describe('connections', () => {
  const open = async () => {
    const [host = '', port] = server.address.split(':');
    const socket = connectTcp(Number(port), host);
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  const count = () => metrics.value('eventmesh_connections', { server: 'grpc' });
  const refused = () => metrics.value('eventmesh_connections_refused_total', { server: 'grpc' });

  it('beyond the bound are closed, counted and told of once; a place that is free is given again', async () => {
    await start({ connectionsMax: 2 });
    const first = await open();
    await open();
    await until(async () => (await count()) === 2);
    for (const socket of [await open(), await open()]) {
      if (!socket.closed) await once(socket.resume(), 'close');
    }
    expect([await count(), await refused()]).toEqual([2, 2]);
    expect(warnings).toEqual([
      { server: 'grpc', limit: 2, key: 'grpc.connectionsMax', refused: 1 },
    ]);
    first.destroy();
    await until(async () => (await count()) === 1);
    const transport = grpcTransport({ address: server.address });
    await expect(createClient(LinkService, transport).trace({})).resolves.toBeDefined();
    transport.close();
  });
});
