import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { Transform } from 'node:stream';

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
  /**
   * Swallows every byte both ways on every connection, old and new, without closing any: a network that
   * is cut while nobody is told. The connections of that time are of no more use, and are reset at
   * `heal`.
   */
  swallow(): void;
  /** Bytes swallowed since the start. */
  readonly swallowed: number;
  /** Passes bytes on late and no faster than this, both ways on every connection, until `heal`. */
  slowDown(pace: Pace): void;
  /** When the newest connections came, at most 10,000, in ms of `performance.now`. */
  readonly attemptsMs: readonly number[];
  /** Ends every fault. */
  heal(): void;
  /** Resets what is open and stops listening. May be called twice. */
  close(): Promise<void>;
}

export interface Pace {
  /** Each way on each connection. */
  readonly bytesPerSecond: number;
  /** From when bytes come until they are passed on, in ms, beside what the rate costs. */
  readonly delayMs: number;
}

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
  readonly toTarget: Transform;
  readonly toClient: Transform;
  /** Bytes of it were swallowed. */
  lost: boolean;
}

/** Bytes passed on at once when a connection is slowed down: less than a packet or a frame. */
const SLICE_BYTES = 1000;

const ATTEMPTS_MAX = 10_000;

/** Passes bytes on in slices at the pace that holds when each is passed on, or not at all. */
function paced(
  pace: () => Pace | 'none' | undefined,
  swallowed: (bytes: number) => void,
): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const pass = (from: number, delay: boolean): void => {
        const now = pace();
        if (now === undefined) done(null, chunk.subarray(from));
        if (now === 'none') {
          swallowed(chunk.length - from);
          done();
        }
        if (now === undefined || now === 'none') return;
        const slice = chunk.subarray(from, from + SLICE_BYTES);
        const costMs = (slice.length * 1000) / now.bytesPerSecond;
        setTimeout(
          () => {
            this.push(slice);
            if (from + slice.length < chunk.length) pass(from + slice.length, false);
            else done();
          },
          costMs + (delay ? now.delayMs : 0),
        );
      };
      pass(0, true);
    },
  });
}

/** @param target where connections go: a port on 127.0.0.1, read anew for each connection */
export async function startProxy(target: { readonly port: number }): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  const stalled = new Set<Direction>();
  const attemptsMs: number[] = [];
  let isCut = false;
  let isSwallowing = false;
  let slow: Pace | undefined;
  let swallowed = 0;
  const swallow = (bytes: number) => {
    swallowed += bytes;
  };

  const reset = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.target.resetAndDestroy();
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    attemptsMs.push(performance.now());
    if (attemptsMs.length > ATTEMPTS_MAX) attemptsMs.shift();
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true });
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    const pace = () => (pair.lost ? 'none' : slow);
    const toTarget = paced(pace, swallow);
    const toClient = paced(pace, swallow);
    const pair = { client, target: upstream, toTarget, toClient, lost: isSwallowing };
    pairs.add(pair);
    toTarget.pipe(upstream);
    toClient.pipe(client);
    for (const socket of [client, upstream]) {
      // An error of one side is passed on as a reset of the other.
      socket.on('error', () => {
        reset(pair);
      });
      socket.on('close', () => {
        if (client.destroyed && upstream.destroyed) pairs.delete(pair);
      });
    }
    if (!stalled.has('to-target')) client.pipe(toTarget);
    if (!stalled.has('to-client')) upstream.pipe(toClient);
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
      for (const { client, target: upstream, toTarget, toClient } of pairs) {
        if (direction === 'to-target') client.unpipe(toTarget).pause();
        else upstream.unpipe(toClient).pause();
      }
    },
    swallow() {
      isSwallowing = true;
      for (const pair of pairs) pair.lost = true;
    },
    get swallowed() {
      return swallowed;
    },
    slowDown(pace) {
      slow = pace;
    },
    attemptsMs,
    heal() {
      isCut = false;
      isSwallowing = false;
      slow = undefined;
      for (const pair of [...pairs]) {
        const { client, target: upstream, toTarget, toClient } = pair;
        if (pair.lost) reset(pair);
        else {
          if (stalled.has('to-target')) client.pipe(toTarget);
          if (stalled.has('to-client')) upstream.pipe(toClient);
        }
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
