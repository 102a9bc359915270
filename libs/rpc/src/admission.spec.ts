import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { Health } from '@eventmesh/proto-gen/health';
import { LinkService } from '@eventmesh/proto-gen/link';
import { Metadata, status as GrpcCode, type ServiceError } from '@grpc/grpc-js';
import { Router, RpcServer, addStandardServices, type CallContext } from './index.ts';
import { WINDOW_BYTES } from './options.ts';
import { fromServiceError } from './status.ts';

const FIRST_MESSAGE_MS = 40;
const GUARDED = `/${LinkService.typeName}`;
const SILENT = '/test.Silent';
const BULK = '/test.Bulk';
const bulkService = { ...LinkService, typeName: 'test.Bulk' };
const silentService = { ...LinkService, typeName: 'test.Silent' };

const guarded: string[] = [];
const outcomes: string[] = [];

const handlers = {
  async *link(requests: AsyncIterable<unknown>) {
    for await (const request of requests) {
      expect(request).toBeDefined();
      yield { message: { case: 'pong' as const, value: {} } };
    }
  },
  trace: () => Promise.resolve({}),
};

async function onlyMe(ctx: CallContext): Promise<void> {
  guarded.push(ctx.metadata.get('authorization') ?? 'nobody');
  await Promise.resolve();
  if (ctx.metadata.get('authorization') !== 'me') {
    throw new MeshError('Unauthenticated', 'who?', { field: 'authorization' });
  }
}

const router = new Router()
  .use(async ({ path }, next) => {
    try {
      return await next();
    } catch (error) {
      outcomes.push(`${path} ${MeshError.from(error).code}`);
      throw error;
    }
  })
  .service(LinkService, handlers, { guard: onlyMe })
  .service(LinkService, handlers, { as: bulkService, guard: onlyMe, bulk: ['Link'] })
  .service(LinkService, handlers, { as: silentService, silent: ['Link'] });
addStandardServices(router, () => true);
const errors: string[] = [];
const server = new RpcServer(router, {
  port: 0,
  firstMessageMs: FIRST_MESSAGE_MS,
  onError: (path, { code }) => errors.push(`${path} ${code}`),
});
let session: ClientHttp2Session;

beforeAll(async () => {
  await server.start();
  session = connect(`http://${server.address}`);
  await once(session, 'remoteSettings');
});
afterAll(() => {
  session.destroy();
  server.stop();
});

/** A call as a caller makes it that keeps to no rules: it never ends its side by itself. */
function open(path: string, authorization = 'me', on = session): ClientHttp2Stream {
  return on.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization,
  });
}

/** The head of a message of so many bytes, and as much of it as is given. */
function frame(length: number, bytes = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

/** How the server ended the call. */
async function refusal(call: ClientHttp2Stream): Promise<MeshError> {
  const [headers] = (await once(call, 'response')) as [Record<string, string>];
  const metadata = new Metadata();
  const details = headers['grpc-status-details-bin'];
  if (details !== undefined) {
    metadata.set('grpc-status-details-bin', Buffer.from(details, 'base64'));
  }
  const error: Partial<ServiceError> = {
    code: Number(headers['grpc-status'] ?? GrpcCode.UNKNOWN),
    details: decodeURI(headers['grpc-message'] ?? ''),
    metadata,
  };
  return fromServiceError(error);
}

describe.each(['Trace', 'Link'])('a call of %s whose guard refuses it', (name) => {
  it('is answered before its message has come, closed, and counted once', async () => {
    guarded.length = outcomes.length = errors.length = 0;
    const call = open(`${GUARDED}/${name}`, 'stranger');
    call.write(frame(15 << 20, Buffer.alloc(1 << 20)));
    const closed = once(call.resume(), 'close');
    const { code, details } = await refusal(call);
    expect([code, details.field]).toEqual(['Unauthenticated', 'authorization']);
    // The caller has not ended its side; it is the server that does not wait for it.
    await closed;
    expect(guarded).toEqual(['stranger']);
    expect(outcomes).toEqual([`${GUARDED}/${name} Unauthenticated`]);
    expect(errors).toEqual(outcomes);
  });
});

describe('the first message of a call', () => {
  it.each([
    ['Trace', 'nothing of it', Buffer.alloc(0)],
    ['Trace', 'half of it', frame(1024, Buffer.alloc(512))],
    ['Link', 'nothing of it', Buffer.alloc(0)],
    ['Link', 'half of it', frame(1024, Buffer.alloc(512))],
  ])('is waited for until the deadline: %s, %s', async (name, _, bytes) => {
    errors.length = 0;
    const call = open(`${GUARDED}/${name}`);
    if (bytes.length > 0) call.write(bytes);
    else call.resume();
    const closed = once(call.resume(), 'close');
    const { code, details } = await refusal(call);
    expect([code, details.field, details.limit]).toEqual([
      'DeadlineExceeded',
      'request',
      `${FIRST_MESSAGE_MS} ms`,
    ]);
    await closed;
    expect(errors).toEqual([`${GUARDED}/${name} DeadlineExceeded`]);
  });

  it.each([
    ['a stream that has begun', `${GUARDED}/Link`, true],
    ['a stream that may be silent', `${SILENT}/Link`, false],
  ])('%s is idle as long as it likes', async (_, path, begins) => {
    const idle = open(path);
    if (begins) {
      idle.write(frame(0));
      await once(idle, 'data');
    } else {
      idle.resume();
    }
    // Opened later, so its deadline is later than the idle stream's would be.
    await refusal(open(`${GUARDED}/Link`));
    idle.write(frame(0));
    await once(idle, 'data');
    expect(idle.closed).toBe(false);
    idle.close();
  });
});

describe('a connection', () => {
  it('has so many calls open at a time', async () => {
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1000);
    const narrow = new RpcServer(router, { port: 0, streamsMax: 7 });
    await narrow.start();
    const client = connect(`http://${narrow.address}`);
    await once(client, 'remoteSettings');
    expect(client.remoteSettings.maxConcurrentStreams).toBe(7);
    client.destroy();
    narrow.stop();
  });

  it('has wide windows once a call that carries much is admitted, but not for a stranger', async () => {
    const client = connect(`http://${server.address}`);
    await once(client, 'remoteSettings');
    const windows = async () => {
      // What the server has sent before its answer has come, too.
      await new Promise((resolve) => client.ping(resolve));
      return [client.remoteSettings.initialWindowSize, client.state.remoteWindowSize];
    };
    const stranger = open(`${BULK}/Link`, 'stranger', client);
    stranger.resume();
    expect((await refusal(stranger)).code).toBe('Unauthenticated');
    const plain = open(`${GUARDED}/Link`, 'me', client);
    plain.write(frame(0));
    await once(plain, 'data');
    expect((await windows())[0]).toBe(65_535);
    const call = open(`${BULK}/Link`, 'me', client);
    call.write(frame(0));
    await once(call, 'data');
    const [ofCall, ofAll] = await windows();
    expect(ofCall).toBe(WINDOW_BYTES);
    expect(ofAll).toBeGreaterThan(WINDOW_BYTES - 1000);
    client.destroy();
  });
});

describe('a service that strangers may call', () => {
  it('takes small messages only', async () => {
    const call = open(`/${Health.typeName}/Check`);
    call.write(frame(64 * 1024 + 1));
    const { code, details } = await refusal(call);
    expect([code, details.field, details.limit]).toEqual([
      'PayloadTooLarge',
      'request',
      '65536 bytes',
    ]);
    call.close();
  });
});
