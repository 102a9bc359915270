import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';

/**
 * Above the ports that `fetch` calls nobody at (10080 is the last), and below those that systems give to
 * whoever asks for any, and to connections (Linux: 32768).
 */
const PORT_MIN = 11_000;
const PORT_MAX = 32_000;
const ATTEMPTS_MAX = 100;

/**
 * Ports of loopback that are free now: for routes between servers, which all of them have to know
 * before the first one starts. Between choosing and binding nobody gets one by chance, neither the
 * same server for its clients nor a connection for its own end.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  for (let n = 0; n < count; n++) held.push(await holdOne());
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => once(server.close(), 'close')));
  return ports;
}

async function holdOne(): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const server = createServer().listen(randomInt(PORT_MIN, PORT_MAX), '127.0.0.1');
    try {
      await once(server, 'listening');
      return server;
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
