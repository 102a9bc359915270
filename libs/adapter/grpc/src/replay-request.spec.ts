import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeEvent } from '@eventmesh/event';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import { SubscriberService, type SubscribeRequest } from '@eventmesh/proto-gen/subscriber';
import {
  PublisherService as WirePublisherService,
  SubscriberService as WireSubscriberService,
  type SubscribeResponse,
} from '@eventmesh/proto-gen/wire';
import {
  AsyncQueue,
  Router,
  RpcServer,
  createClient,
  grpcTransport,
  type Transport,
} from '@eventmesh/rpc';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import { addGrpcAdapter } from './index.ts';

let mesh: MemoryMesh;
let server: RpcServer;
const transports: Transport[] = [];

beforeEach(async () => {
  mesh = new MemoryMesh();
  const router = new Router();
  addGrpcAdapter(router, mesh);
  server = new RpcServer(router, { port: 0 });
  await server.start();
  const session = await mesh.authenticate('Bearer alice');
  await mesh.subscriptions.create(session, { name: 'work', topicFilters: ['orders/#'] });
  for (let n = 1; n <= 4; n++) {
    const event = encodeEvent({ id: String(n), source: '/s', type: 't' });
    await mesh.publish(session, [{ topic: n === 2 ? 'other' : 'orders/eu', event }]);
  }
});

afterEach(() => {
  for (const transport of transports.splice(0)) transport.close();
  server.stop();
  mesh.close();
});

function transport(authorization = 'Bearer alice'): Transport {
  const made = grpcTransport({ address: server.address, metadata: () => ({ authorization }) });
  transports.push(made);
  return made;
}

const subscriptions = (user?: string) => createClient(SubscriberService, transport(user));
const failure = (call: Promise<unknown>): Promise<MeshError> =>
  call.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => MeshError.from(error),
  );

const EARLIEST = { from: { from: { case: 'earliest' as const, value: {} } } };

/** Opens a lane that accepts everything; what it was told, by kind, in order. */
async function lane(replay: object, accept = true) {
  const requests = new AsyncQueue<SubscribeRequest>();
  const open = { subscription: { case: 'name', value: 'work' }, credit: { events: 10 }, replay };
  requests.push({ message: { case: 'open', value: open } } as SubscribeRequest);
  const client = createClient(WireSubscriberService, transport(), SubscriberService);
  const told: SubscribeResponse['message'][] = [];
  const ended = (async () => {
    for await (const { message } of client.subscribe(requests)) {
      told.push(message);
      if (message.case !== 'deliveries' || !accept) continue;
      const ids = message.value.deliveries.map(({ id }) => id);
      requests.push({
        message: { case: 'settle', value: { ids, outcome: 1 } },
      } as SubscribeRequest);
    }
  })();
  const events = () =>
    told.flatMap((message) =>
      message.case === 'deliveries'
        ? message.value.deliveries.map(({ event }) => new EventView(event))
        : [],
    );
  return { told, ended, events };
}

describe('Subscribe with open.replay', () => {
  it('delivers the part, marked with the id of the lane, and ends with status OK', async () => {
    mesh.trim(0, 2);
    const { told, ended, events } = await lane({
      from: { from: { case: 'position', value: { partition: 0, position: 1n } } },
    });
    await ended;
    const [opened] = told;
    const id = opened?.case === 'opened' ? opened.value.replayId : '';
    expect(id).not.toBe('');
    expect(events().map((event) => [event.id, event.text('meshreplay')])).toEqual([
      ['3', id],
      ['4', id],
    ]);
    expect(told.find((message) => message.case === 'gap')?.value).toMatchObject({
      partition: 0,
      fromPosition: 1n,
      toPosition: 1n,
    });
    const last = told.at(-1);
    expect(last?.case === 'ended' && last.value.reason).toMatchObject({
      status: 0,
      code: 0,
      reason: 'COMPLETE',
    });
    expect(mesh.subscription('work').status()).toMatchObject({ delivered: 0, held: 3 });
  });

  it.each<[string, object, string]>([
    ['no start', {}, 'replay.from'],
    ['a rate out of bounds', { ...EARLIEST, rateMax: 1_000_001 }, 'replay.rate_max'],
    ['a time that no number can hold', { ...EARLIEST, toMs: 2n ** 62n }, 'replay.to_ms'],
  ])('refuses %s', async (_, replay, field) => {
    const { ended } = await lane(replay);
    expect(await failure(ended)).toMatchObject({ code: 'InvalidArgument', details: { field } });
  });
});

describe('PreviewReplay, ListReplays and StopReplay', () => {
  it('count, show and end lanes of the tenant', async () => {
    const mine = subscriptions();
    expect(await mine.previewReplay({ name: 'work', replay: EARLIEST })).toMatchObject({
      events: 3n,
      considered: 4n,
      expired: 0n,
      gaps: [],
    });
    const { told, ended } = await lane(EARLIEST, false);
    await eventually(() => expect(told.length).toBeGreaterThan(1));
    const { replays } = await mine.listReplays({ name: 'work' });
    const id = replays[0]?.id ?? '';
    expect(replays).toEqual([expect.objectContaining({ subscription: 'work', delivered: 0n })]);
    expect((await mine.listReplays({ name: 'other' })).replays).toEqual([]);
    const theirs = subscriptions('Bearer mallory');
    expect((await theirs.listReplays({})).replays).toEqual([]);
    expect((await failure(theirs.stopReplay({ id }))).code).toBe('NotFound');
    await mine.stopReplay({ id });
    await ended;
    const last = told.at(-1);
    expect(last?.case === 'ended' && last.value.reason).toMatchObject({
      status: 1,
      reason: 'REPLAY_STOPPED',
    });
  });

  it('need a replay to preview', async () => {
    const error = await failure(subscriptions().previewReplay({ name: 'work' }));
    expect(error).toMatchObject({ code: 'InvalidArgument', details: { field: 'replay' } });
  });
});

describe('Request', () => {
  const event = encodeEvent({ id: 'q', source: '/s', type: 'question' });
  const publisher = (user?: string) =>
    createClient(WirePublisherService, transport(user), PublisherService);

  async function answers(): Promise<void> {
    const session = await mesh.authenticate('Bearer alice');
    await mesh.attach(
      session,
      { subscription: { name: 'answers', topicFilters: ['questions'] }, creditEvents: 10 },
      {
        deliver: ([delivery]) => {
          const topic = new EventView(delivery?.event ?? Buffer.of()).text('replyto') ?? '';
          const reply = encodeEvent({ id: 'a', source: '/s', type: 'answer' });
          void mesh.publish(session, [{ topic, event: reply }]);
        },
        gap: () => undefined,
        refused: () => undefined,
        ended: () => undefined,
      },
    );
  }

  it('answers with the reply', async () => {
    await answers();
    const { reply } = await publisher().request({ topic: 'questions', event });
    expect(new EventView(reply).id).toBe('a');
  });

  it('ends with the deadline of the call', async () => {
    const call = publisher().request({ topic: 'orders/eu', event }, { timeoutMs: 100 });
    expect((await failure(call)).code).toBe('DeadlineExceeded');
    await eventually(() => expect(mesh.requests.pending).toBe(0));
  });

  it('is refused when nobody wants the topic, and without credentials', async () => {
    const error = await failure(publisher().request({ topic: 'nobody', event }));
    expect([error.code, error.reason]).toEqual(['FailedPrecondition', 'NO_INTEREST']);
    const nobody = publisher('Bearer nobody').request({ topic: 'questions', event });
    expect((await failure(nobody)).code).toBe('Unauthenticated');
  });
});
