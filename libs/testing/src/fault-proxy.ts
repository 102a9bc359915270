import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

export type Direction = 'to-target' | 'to-client';

/** A TCP proxy on loopback that can make the network between two parties fail. */
export interface FaultProxy {
  readonly port: number;
  /** How many connections pass through now. */
  readonly connections: number;
  /** Resets every connection and every new one, until `heal`. */
  cut(): void;
  /**
   * Stops passing bytes one way on every connection, old and new, without closing any: what a dead
   * peer behind a live network looks like. Bytes are held, and passed on at `heal`.
   */
  stallOneWay(direction: Direction): void;
  /** Ends every fault. */
  heal(): void;
  /** Resets what is open and stops listening. May be called twice. */
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
}

/** @param target where connections go: a port on 127.0.0.1, read anew for each connection */
export async function startProxy(target: { readonly port: number }): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  const stalled = new Set<Direction>();
  let isCut = false;

  const reset = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.target.resetAndDestroy();
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true });
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    const pair = { client, target: upstream };
    pairs.add(pair);
    for (const socket of [client, upstream]) {
      // An error of one side is passed on as a reset of the other.
      socket.on('error', () => {
        reset(pair);
      });
      socket.on('close', () => {
        if (client.destroyed && upstream.destroyed) pairs.delete(pair);
      });
    }
    if (!stalled.has('to-target')) client.pipe(upstream);
    if (!stalled.has('to-client')) upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let closed: Promise<void> | undefined;

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    cut() {
      isCut = true;
      for (const pair of [...pairs]) reset(pair);
    },
    stallOneWay(direction) {
      stalled.add(direction);
      for (const { client, target: upstream } of pairs) {
        if (direction === 'to-target') client.unpipe(upstream).pause();
        else upstream.unpipe(client).pause();
      }
    },
    heal() {
      isCut = false;
      for (const { client, target: upstream } of pairs) {
        if (stalled.has('to-target')) client.pipe(upstream);
        if (stalled.has('to-client')) upstream.pipe(client);
      }
      stalled.clear();
    },
    close() {
      closed ??= new Promise((resolve) => {
        for (const pair of [...pairs]) reset(pair);
        server.close(() => {
          resolve();
        });
      });
      return closed;
    },
  };
}
