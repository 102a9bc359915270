import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { Metrics } from '@eventmesh/telemetry';
import { MemoryMesh, eventually } from '@eventmesh/testing';
import { call, makeAdapter } from './testing/http-client.ts';

const MIB = 1024 * 1024;
const BATCH = 'application/cloudevents-batch+json';

let metrics: Metrics;
let mesh: MemoryMesh;
let adapter: ProtocolAdapter;
let address: string;
let sockets: Socket[];
let faults: string[];

beforeEach(async () => {
  [sockets, faults, metrics, mesh] = [[], [], new Metrics(), new MemoryMesh()];
  const bounds = { batchBytesMax: 8 * MIB, unfinishedBytesMax: 8 * MIB };
  adapter = makeAdapter(mesh, bounds, faults, metrics);
  await adapter.start();
  address = adapter.addresses()['http'] ?? '';
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await adapter.stop();
  mesh.close();
  expect(faults).toEqual([]);
});

const held = async () => {
  await metrics.render();
  return metrics.value('eventmesh_http_unfinished_bytes');
};

/** A small piece, as the first one of a body may be, counts a little more than it has. */
async function holds(bytes: number): Promise<void> {
  const found = await held();
  expect(found).toBeGreaterThanOrEqual(bytes);
  expect(found).toBeLessThanOrEqual(bytes + 1024);
}

/** A request of somebody unknown that sends so much of a batch, and then nothing. */
function begin(
  bytes: number,
  framing: 'length' | 'chunks' | 'pieces',
  what = 'POST /v1/topics/orders',
) {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  sockets.push(socket);
  let text = '';
  const ended = new Promise<string>((resolve) => {
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined).once('close', () => resolve(text));
  });
  const form = framing === 'length' ? `content-length: ${8 * MIB}` : 'transfer-encoding: chunked';
  socket.write(`${what} HTTP/1.1\r\nhost: x\r\ncontent-type: ${BATCH}\r\n${form}\r\n\r\n`);
  if (framing === 'chunks') socket.write(`${(8 * MIB).toString(16)}\r\n`);
  socket.write(Buffer.alloc(bytes, ' '));
  return { socket, ended };
}

describe('bodies that have come in part', () => {
  it.each(['length', 'chunks'] as const)(
    'are refused beyond the budget of the server, the largest first (%s)',
    async (framing) => {
      const large = begin(5 * MIB, framing);
      await eventually(() => holds(5 * MIB));
      const small = begin(2 * MIB, framing);
      await eventually(() => holds(7 * MIB));
      begin(3 * MIB, framing);
      const answer = await large.ended;
      expect(answer).toMatch(/^HTTP\/1\.1 429 /);
      expect(answer).toMatch(/\r\nretry-after: 1\r\n/i);
      expect(answer).toMatch(/\r\nconnection: close\r\n/i);
      const [, body = ''] = answer.split('\r\n\r\n');
      expect(JSON.parse(body)).toMatchObject({
        field: 'body',
        limit: `${8 * MIB} bytes`,
        reason: 'UNFINISHED_MESSAGES',
      });
      await eventually(() => holds(5 * MIB));
      expect(small.socket.readyState).toBe('open');
      expect(await metrics.value('eventmesh_http_unfinished_refused_total')).toBe(1);
    },
  );

  it('are counted no more when they are whole, refused for another reason, or broken off', async () => {
    const path = '/v1/topics/orders';
    expect((await call(address, { path, body: Buffer.alloc(65_536) })).status).toBe(200);
    expect(await held()).toBe(0);
    const tooLong = Buffer.alloc(9 * MIB);
    const refused = await call(address, { path, body: tooLong }).catch(() => undefined);
    expect(refused?.status ?? 413).toBe(413);
    const { socket } = begin(3 * MIB, 'length');
    await eventually(() => holds(3 * MIB));
    socket.destroy();
    await eventually(async () => expect(await held()).toBe(0));
  });

  it('are counted by what their pieces take, however small these are', async () => {
    const { socket } = begin(0, 'pieces');
    socket.write('1\r\nx\r\n'.repeat(10_000));
    await eventually(async () => expect(await held()).toBe(10_000 * 256));
  });

  it('are not counted where nobody reads them, however long the answer takes', async () => {
    const LIST = 'GET /v1/subscriptions';
    const { promise: known, resolve: know } = Promise.withResolvers<undefined>();
    const authenticate = mesh.authenticate.bind(mesh);
    let asked = 0;
    mesh.authenticate = async (authorization) => {
      asked++;
      await known;
      return authenticate(authorization);
    };
    const unread = (['length', 'chunks'] as const).map((framing) => begin(7 * MIB, framing, LIST));
    await eventually(() => expect(asked).toBeGreaterThan(0));
    begin(7 * MIB, 'chunks');
    await eventually(() => holds(7 * MIB));
    expect(await metrics.value('eventmesh_http_unfinished_refused_total')).toBe(0);
    know(undefined);
    for (const { socket } of unread) {
      await eventually(() => expect(socket.bytesRead).toBeGreaterThan(0));
    }
  });
});
