import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/**
 * Ports of loopback that are free now: for routes between servers, which all of them have to know
 * before the first one starts.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(held.map((server) => once(server, 'listening')));
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => once(server.close(), 'close')));
  return ports;
}
