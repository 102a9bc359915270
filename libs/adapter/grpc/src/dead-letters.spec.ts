import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeEvent } from '@eventmesh/event';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { SubscriberService } from '@eventmesh/proto-gen/subscriber';
import { Router, RpcServer, createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import { addGrpcAdapter } from './index.ts';

let mesh: MemoryMesh;
let server: RpcServer;
let transport: Transport;

const connect = (authorization: string) =>
  grpcTransport({ address: server.address, metadata: () => ({ authorization }) });

beforeEach(async () => {
  mesh = new MemoryMesh();
  const router = new Router();
  addGrpcAdapter(router, mesh);
  server = new RpcServer(router, { port: 0 });
  await server.start();
  transport = connect('Bearer alice');
});
afterEach(async () => {
  transport.close();
  await server.drain(1000);
  mesh.close();
});

const client = () => createClient(DeadLetterService, transport);
const event = (id: string) => encodeEvent({ id, source: '/s', type: 't' });

async function fill(count: number): Promise<void> {
  const session = await mesh.authenticate('Bearer alice');
  await mesh.subscriptions.create(session, { name: 'work', topicFilters: ['orders/#'] });
  const ids: number[] = [];
  const attachment = await mesh.attach(
    session,
    { subscription: 'work' },
    {
      deliver: (deliveries) => ids.push(...deliveries.map(({ id }) => id)),
      gap: () => undefined,
      refused: () => undefined,
      ended: () => undefined,
    },
  );
  attachment.credit(count);
  const items = Array.from({ length: count }, (_, n) => ({
    topic: 'orders/x',
    event: event(`e${n + 1}`),
  }));
  await mesh.publish(session, items);
  await eventually(() => expect(ids).toHaveLength(count));
  attachment.settle(ids, { kind: 'reject', reason: 'bad' });
  await attachment.detach();
}

describe('DeadLetterService', () => {
  it('refuses a token that no list gave, by the name that it has here', async () => {
    const refusal = { code: 'InvalidArgument', details: { field: 'page_token' } };
    const subscriptions = createClient(SubscriberService, transport);
    const pageToken = 'hello';
    await expect(client().list({ pageToken })).rejects.toMatchObject(refusal);
    await expect(subscriptions.listSubscriptions({ pageToken })).rejects.toMatchObject(refusal);
  });

  it('lists, shows, groups and counts', async () => {
    await fill(3);
    const page = await client().list({ selection: { subscription: 'work' }, pageSize: 2 });
    expect(page.deadLetters).toMatchObject([
      { id: 1n, subscription: 'work', cause: 'bad', attempts: 1, eventId: 'e1', position: 1n },
      { id: 2n },
    ]);
    const [first] = page.deadLetters;
    expect(first?.subscriptionCreatedMs).toBeGreaterThan(0n);
    expect(first?.subscriptionGone).toBe(false);
    expect(Buffer.from(page.deadLetters[0]?.event ?? []).equals(event('e1'))).toBe(true);
    const rest = await client().list({ pageToken: page.nextPageToken });
    expect(rest).toMatchObject({ deadLetters: [{ id: 3n }], nextPageToken: '' });
    expect(await client().get({ id: 2n })).toMatchObject({ deadLetter: { eventId: 'e2' } });
    expect(await client().groups({})).toMatchObject({ groups: [{ cause: 'bad', count: 3n }] });
    expect(await client().status({})).toMatchObject({ count: 3n, full: false });
  });

  it('redrives and purges what is selected', async () => {
    await fill(3);
    expect(await client().redrive({ selection: { ids: [1n] }, rateMax: 9 })).toMatchObject({
      redriven: 1n,
      missing: 0n,
      unmatched: 0n,
      forbidden: 0n,
      nextPageToken: '',
    });
    expect(await client().purge({ selection: { all: true } })).toMatchObject({ purged: 2n });
    expect(await client().list({})).toMatchObject({ deadLetters: [] });
  });

  it('refuses to change what was not selected, and what is not there', async () => {
    await fill(1);
    const field = (name: string) => ({ details: { field: name } });
    await expect(client().purge({})).rejects.toMatchObject(field('selection'));
    await expect(client().redrive({})).rejects.toMatchObject(field('selection'));
    await expect(client().get({ id: 9n })).rejects.toMatchObject({ code: 'NotFound' });
    expect(await client().status({})).toMatchObject({ count: 1n });
  });

  it('shows and gives nothing of another tenant', async () => {
    await fill(1);
    const other = connect('Bearer mallory');
    const theirs = createClient(DeadLetterService, other);
    expect(await theirs.list({})).toMatchObject({ deadLetters: [] });
    await expect(theirs.get({ id: 1n })).rejects.toMatchObject({ code: 'NotFound' });
    expect(await theirs.purge({ selection: { all: true } })).toMatchObject({ purged: 0n });
    other.close();
    expect(await client().status({})).toMatchObject({ count: 1n });
  });
});
