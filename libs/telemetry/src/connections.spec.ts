import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Connections } from './connections.ts';
import { Metrics } from './metrics.ts';

let servers: Server[];
let sockets: Socket[];
let warnings: object[];
let nowMs: number;
let metrics: Metrics;
let connections: Connections;

beforeEach(async () => {
  [servers, sockets, warnings, nowMs] = [[], [], [], 0];
  metrics = new Metrics();
  connections = new Connections({
    server: 'http',
    max: 2,
    key: 'http.connectionsMax',
    metrics,
    log: { warn: (facts: object) => void warnings.push(facts) },
    now: () => nowMs,
  });
  for (let count = 0; count < 2; count++) {
    const server = createServer((socket) => socket.resume().on('error', () => undefined));
    connections.watch(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
  }
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

const value = (name: string) => metrics.value(name, { server: 'http' });

async function open(at: number): Promise<Socket> {
  const { port } = servers[at]?.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  socket.resume().on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

async function refused(at: number): Promise<void> {
  const socket = await open(at);
  if (!socket.closed) await once(socket, 'close');
}

describe('connections of a server', () => {
  it('are bounded over all addresses it listens on', async () => {
    const first = await open(0);
    await until(() => connections.open === 1);
    await open(1);
    await until(() => connections.open === 2);
    await refused(0);
    await refused(1);
    expect([await value('eventmesh_connections'), connections.open]).toEqual([2, 2]);
    first.destroy();
    await until(() => connections.open === 1);
    await open(1);
    await until(() => connections.open === 2);
    expect(await value('eventmesh_connections_refused_total')).toBe(2);
  });

  it('that are refused are told of at most once a minute, with how many they were', async () => {
    await Promise.all([open(0), open(0)]);
    await until(() => connections.open === 2);
    await refused(0);
    await refused(0);
    nowMs = 59_000;
    await refused(1);
    nowMs = 60_000;
    await refused(0);
    const about = { server: 'http', limit: 2, key: 'http.connectionsMax' };
    expect(warnings).toEqual([
      { ...about, refused: 1 },
      { ...about, refused: 3 },
    ]);
  });
});
