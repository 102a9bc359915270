import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@eventmesh/proto-gen/health';
import { LinkService, type LinkRequest } from '@eventmesh/proto-gen/link';
import { Client, compressionAlgorithms as CompressionAlgorithms, credentials } from '@grpc/grpc-js';
import { ServerReflection } from '@eventmesh/proto-gen/reflection';
import {
  AsyncQueue,
  Router,
  RpcServer,
  addStandardServices,
  createClient,
  grpcTransport,
  localTransport,
  type Transport,
} from './index.ts';
import { MESSAGE_BYTES_MAX } from './options.ts';
import { fromServiceError } from './status.ts';

let ready = true;

function makeRouter(): Router {
  const router = new Router().service(
    LinkService,
    {
      async *link(requests) {
        for await (const { message } of requests) {
          if (message.case === 'ping') yield { message: { case: 'pong', value: message.value } };
          else throw new MeshError('Aborted', 'not a ping', { facts: { last: '7' } });
        }
      },
      async trace({ eventId }, ctx) {
        if (eventId === 'slow') {
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
        }
        if (eventId === 'limit') {
          throw new MeshError('ResourceExhausted', 'the quota is used up', {
            field: 'event_id',
            limit: '5 a second',
            retryAfterMs: 1250,
            reason: 'QUOTA',
          });
        }
        if (eventId === 'bug') throw new Error('secret detail');
        return { unreachableSites: [eventId, ctx.metadata.get('authorization') ?? ''] };
      },
    },
    {
      guard: (ctx) => {
        if (ctx.metadata.get('authorization') === 'no') {
          throw new MeshError('Unauthenticated', 'go away');
        }
      },
    },
  );
  addStandardServices(router, () => ready);
  return router;
}

const server = new RpcServer(makeRouter(), { port: 0 });
const remote = { transport: undefined as Transport | undefined };

beforeAll(async () => {
  await server.start();
  remote.transport = grpcTransport({
    address: server.address,
    metadata: () => ({ authorization: 'me' }),
  });
});
afterAll(() => {
  remote.transport?.close();
  server.stop();
});

const local = localTransport(makeRouter(), { authorization: 'me' });
const transports: [string, () => Transport][] = [
  ['over gRPC', () => remote.transport ?? local],
  ['in process', () => local],
];

async function failure(run: () => Promise<unknown>): Promise<MeshError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe.each(transports)('a call %s', (_, transport) => {
  const link = () => createClient(LinkService, transport());

  it('carries request, metadata and response', async () => {
    const { unreachableSites } = await link().trace({ eventId: 'x' });
    expect(unreachableSites).toEqual(['x', 'me']);
  });

  it('fails with code, field, limit, reason and retry time of the handler', async () => {
    const error = await failure(() => link().trace({ eventId: 'limit' }));
    expect([error.code, error.message]).toEqual(['ResourceExhausted', 'the quota is used up']);
    expect(error.details).toMatchObject({
      field: 'event_id',
      limit: '5 a second',
      retryAfterMs: 1250,
      reason: 'QUOTA',
    });
  });

  it('never tells what a bug said', async () => {
    const error = await failure(() => link().trace({ eventId: 'bug' }));
    expect(error.code).toBe('Internal');
    expect(error.message).not.toContain('secret');
  });

  it('is refused by the guard before the handler runs', async () => {
    const metadata = { authorization: 'no' };
    const error = await failure(() => link().trace({ eventId: 'x' }, { metadata }));
    expect(error.code).toBe('Unauthenticated');
  });

  it('answers Unimplemented for a method that is not served', async () => {
    const client = createClient(Health, transport(), LinkService);
    expect((await failure(() => client.check({}))).code).toBe('Unimplemented');
  });

  it('streams both ways, and ends with the input', async () => {
    const requests = new AsyncQueue<LinkRequest>();
    const nonces: bigint[] = [];
    requests.push({ message: { case: 'ping', value: { nonce: 1n } } } as LinkRequest);
    for await (const { message } of link().link(requests)) {
      if (message.case !== 'pong') continue;
      nonces.push(message.value.nonce);
      if (nonces.length === 3) requests.end();
      else {
        const nonce = message.value.nonce + 1n;
        requests.push({ message: { case: 'ping', value: { nonce } } } as LinkRequest);
      }
    }
    expect(nonces).toEqual([1n, 2n, 3n]);
  });

  it('fails a stream with the details of the handler', async () => {
    const requests = new AsyncQueue<LinkRequest>();
    requests.push({ message: { case: 'frame', value: {} } } as unknown as LinkRequest);
    const error = await failure(async () => {
      for await (const reply of link().link(requests)) expect(reply).toBeUndefined();
    });
    expect([error.code, error.details.facts?.['last']]).toEqual(['Aborted', '7']);
  });

  it('can be cancelled while it waits for the stream', async () => {
    const cancel = new AbortController();
    const requests = new AsyncQueue<LinkRequest>();
    requests.push({ message: { case: 'ping', value: { nonce: 1n } } } as LinkRequest);
    const error = await failure(async () => {
      for await (const reply of link().link(requests, { signal: cancel.signal })) {
        expect(reply.message.case).toBe('pong');
        cancel.abort();
        requests.push({ message: { case: 'ping', value: { nonce: 2n } } } as LinkRequest);
      }
    });
    expect(error.code).toBe('Cancelled');
  });

  it('tells health for the whole and for a service, and NOT_FOUND for a strange one', async () => {
    const health = createClient(Health, transport());
    expect((await health.check({})).status).toBe(Status.SERVING);
    ready = false;
    const { status } = await health.check({ service: LinkService.typeName });
    ready = true;
    expect(status).toBe(Status.NOT_SERVING);
    expect((await failure(() => health.check({ service: 'x' }))).code).toBe('NotFound');
  });
});

describe('interceptors', () => {
  it('stand round the guard and the handler in the order in which they were added', async () => {
    const seen: string[] = [];
    const router = new Router()
      .use(async ({ path }, next) => {
        seen.push(`outer ${path}`);
        try {
          return await next();
        } catch (error) {
          seen.push(`outer ${MeshError.from(error).code}`);
          throw error;
        }
      })
      .use((_, next) => {
        seen.push('inner');
        return next();
      })
      .service(
        LinkService,
        { trace: () => Promise.resolve({}) },
        {
          guard: () => {
            seen.push('guard');
            throw new MeshError('PermissionDenied', 'no');
          },
        },
      );
    const client = createClient(LinkService, localTransport(router));
    expect((await failure(() => client.trace({}))).code).toBe('PermissionDenied');
    const path = '/eventmesh.link.v1.LinkService/Trace';
    expect(seen).toEqual([`outer ${path}`, 'inner', 'guard', 'outer PermissionDenied']);
  });
});

describe('over gRPC', () => {
  it('a call without an answer ends at its deadline', async () => {
    const client = createClient(LinkService, remote.transport ?? local);
    const error = await failure(() => client.trace({ eventId: 'slow' }, { timeoutMs: 100 }));
    expect(error.code).toBe('DeadlineExceeded');
  });

  it.each(['Trace', 'Link'])(
    '%s refuses bytes that are no message as InvalidArgument',
    async (name) => {
      // A message of the right shape that says it is longer than it is.
      const malformed = Buffer.from([0x0a, 0x7f, 0x01]);
      const client = new Client(server.address, credentials.createInsecure());
      const [path, same] = [`/${LinkService.typeName}/${name}`, (bytes: Buffer) => bytes];
      const thrown = await new Promise<unknown>((resolve) => {
        if (name === 'Trace') {
          client.makeUnaryRequest(path, same, same, malformed, (error) => resolve(error));
          return;
        }
        const call = client.makeBidiStreamRequest(path, same, same);
        call.on('error', resolve).on('data', resolve);
        call.write(malformed);
      });
      client.close();
      const { code, details } = fromServiceError(thrown);
      expect([code, details.field, details.reason]).toEqual([
        'InvalidArgument',
        'request',
        'MALFORMED',
      ]);
    },
  );

  it.each([
    ['Trace', 'as it is', CompressionAlgorithms.identity],
    ['Link', 'as it is', CompressionAlgorithms.identity],
    ['Trace', 'decompressed', CompressionAlgorithms.gzip],
    ['Link', 'decompressed', CompressionAlgorithms.gzip],
  ])(
    '%s refuses a message that is larger than the limit %s, naming field and limit',
    async (name, _, compression) => {
      const client = new Client(server.address, credentials.createInsecure(), {
        'grpc.max_send_message_length': -1,
        'grpc.default_compression_algorithm': compression,
      });
      const [path, same] = [`/${LinkService.typeName}/${name}`, (bytes: Buffer) => bytes];
      const large = Buffer.alloc(MESSAGE_BYTES_MAX + 1);
      const thrown = await new Promise<unknown>((resolve) => {
        if (name === 'Trace') {
          client.makeUnaryRequest(path, same, same, large, (error) => resolve(error));
          return;
        }
        const call = client.makeBidiStreamRequest(path, same, same);
        call.on('error', resolve).on('data', resolve);
        call.write(large);
      });
      client.close();
      const { code, details } = fromServiceError(thrown);
      expect([code, details.field, details.limit]).toEqual([
        'PayloadTooLarge',
        'request',
        `${MESSAGE_BYTES_MAX} bytes`,
      ]);
    },
  );

  it('a stream that fails while its next request is awaited tells the caller why', async () => {
    const failing = new RpcServer(
      new Router().service(LinkService, {
        async *link(requests) {
          const inputs = requests[Symbol.asyncIterator]();
          await inputs.next();
          yield { message: { case: 'pong', value: {} } };
          // The reply is not on its way yet when the call fails.
          inputs.next().catch(() => undefined);
          throw new MeshError('Unavailable', 'starting', { reason: 'STARTING' });
        },
      }),
      { port: 0 },
    );
    await failing.start();
    const transport = grpcTransport({ address: failing.address });
    const requests = new AsyncQueue<LinkRequest>();
    requests.push({ message: { case: 'ping', value: { nonce: 1n } } } as LinkRequest);
    const error = await failure(async () => {
      for await (const reply of createClient(LinkService, transport).link(requests)) {
        expect(reply.message.case).toBe('pong');
      }
    });
    expect([error.code, error.details.reason]).toEqual(['Unavailable', 'STARTING']);
    transport.close();
    failing.stop();
  });

  it('reflection lists the services and hands out their files', async () => {
    const client = createClient(ServerReflection, remote.transport ?? local);
    const ask = async function* () {
      yield { messageRequest: { case: 'listServices' as const, value: '' } };
      yield {
        messageRequest: { case: 'fileContainingSymbol' as const, value: LinkService.typeName },
      };
    };
    const answers: unknown[] = [];
    for await (const { messageResponse } of client.serverReflectionInfo(ask() as never)) {
      answers.push(messageResponse.case);
      if (messageResponse.case === 'listServicesResponse') {
        const names = messageResponse.value.service.map(({ name }) => name);
        expect(names).toContain(LinkService.typeName);
      }
    }
    expect(answers).toEqual(['listServicesResponse', 'fileDescriptorResponse']);
  });

  it('a server that drains lets a call in flight finish and takes no new one', async () => {
    const gate = new AsyncQueue<null>();
    const draining = new RpcServer(
      new Router().service(LinkService, {
        async trace(_, ctx) {
          gate.push(null);
          await new Promise((resolve) => ctx.draining.addEventListener('abort', resolve));
          return { unreachableSites: ['done'] };
        },
      }),
      { port: 0 },
    );
    await draining.start();
    const transport = grpcTransport({ address: draining.address });
    const client = createClient(LinkService, transport);
    const inFlight = client.trace({});
    for await (const started of gate) {
      expect(started).toBeNull();
      break;
    }
    const drained = draining.drain(2000);
    expect((await inFlight).unreachableSites).toEqual(['done']);
    await drained;
    const error = await failure(() => client.trace({}, { timeoutMs: 500 }));
    expect(['Unavailable', 'DeadlineExceeded']).toContain(error.code);
    transport.close();
  });
});
