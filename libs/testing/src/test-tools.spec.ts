import { existsSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from './eventually.ts';
import { fakeClock } from './fake-clock.ts';
import { startProxy } from './fault-proxy.ts';
import { seededRandom } from './seeded-random.ts';
import { tempDir } from './temp-dir.ts';

describe('tempDir', () => {
  it('makes a folder and removes it, once or twice', () => {
    const dir = tempDir();
    expect(existsSync(dir.path)).toBe(true);
    dir.remove();
    dir.remove();
    expect(existsSync(dir.path)).toBe(false);
  });
});

describe('eventually', () => {
  it('returns the first success', async () => {
    let tries = 0;
    const attempt = () => {
      tries += 1;
      if (tries < 3) throw new Error('not yet');
      return tries;
    };
    expect(await eventually(attempt, { intervalMs: 1 })).toBe(3);
  });

  it('throws the last failure at the deadline', async () => {
    const attempt = () => {
      throw new Error('still wrong');
    };
    await expect(eventually(attempt, { timeoutMs: 10, intervalMs: 1 })).rejects.toThrow(
      'still wrong',
    );
  });
});

describe('seededRandom', () => {
  it('repeats with its seed and stays in its bounds', () => {
    const draw = (seed: number) => Array.from({ length: 100 }, seededRandom(seed).next);
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    const random = seededRandom(1);
    const drawn = new Set(Array.from({ length: 200 }, () => random.int(3, 5)));
    expect([...drawn].sort()).toEqual([3, 4, 5]);
  });
});

describe('fakeClock', () => {
  it('runs timers in order of time, each at its moment, also ones set on the way', async () => {
    const clock = fakeClock(0);
    const seen: string[] = [];
    clock.setTimer(20, () => seen.push(`b${clock.now()}`));
    clock.setTimer(10, () => {
      void Promise.resolve().then(() => clock.setTimer(5, () => seen.push(`c${clock.now()}`)));
      seen.push(`a${clock.now()}`);
    });
    const cancel = clock.setTimer(12, () => seen.push('cancelled'));
    cancel();
    clock.setTimer(100, () => seen.push('too late'));
    await clock.advance(50);
    expect(seen).toEqual(['a10', 'c15', 'b20']);
    expect(clock.now()).toBe(50);
    expect(clock.pending).toBe(1);
  });
});

describe('startProxy', () => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function echoThroughProxy() {
    const peers = new Set<Socket>();
    const echo = createServer((socket) => {
      peers.add(socket);
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const proxy = await startProxy({ port: (echo.address() as AddressInfo).port });
    closing.push(
      () => new Promise((resolve) => echo.close(resolve)),
      () => {
        for (const peer of peers) peer.destroy();
      },
      () => proxy.close(),
    );
    return proxy;
  }

  function open(port: number) {
    const socket = connect({ host: '127.0.0.1', port });
    const state = { socket, text: '', closed: false };
    socket.on('data', (chunk) => (state.text += chunk.toString()));
    socket.on('error', () => (state.closed = true));
    socket.on('close', () => (state.closed = true));
    closing.push(() => socket.destroy());
    return state;
  }

  it('passes bytes both ways, resets on cut and lets new connections in after heal', async () => {
    const proxy = await echoThroughProxy();
    const first = open(proxy.port);
    first.socket.write('one');
    await eventually(() => expect(first.text).toBe('one'));
    proxy.cut();
    await eventually(() => expect(first.closed).toBe(true));
    const refused = open(proxy.port);
    await eventually(() => expect(refused.closed).toBe(true));
    proxy.heal();
    const second = open(proxy.port);
    second.socket.write('two');
    await eventually(() => expect(second.text).toBe('two'));
  });

  it('swallows bytes without closing, and resets what it has swallowed bytes of at heal', async () => {
    const proxy = await echoThroughProxy();
    const first = open(proxy.port);
    first.socket.write('a');
    await eventually(() => expect(first.text).toBe('a'));
    proxy.swallow();
    first.socket.write('b');
    const second = open(proxy.port);
    second.socket.write('c');
    await eventually(() => expect(proxy.connections).toBe(2));
    proxy.heal();
    await eventually(() => expect([first.closed, second.closed]).toEqual([true, true]));
    expect([first.text, second.text]).toEqual(['a', '']);
    const third = open(proxy.port);
    third.socket.write('d');
    await eventually(() => expect(third.text).toBe('d'));
    expect(proxy.attemptsMs.length).toBe(3);
    expect(proxy.swallowed).toBe(2);
  });

  it('passes bytes on late, in slices and no faster than it is told, and all of them', async () => {
    const proxy = await echoThroughProxy();
    const client = open(proxy.port);
    const from = performance.now();
    proxy.slowDown({ bytesPerSecond: 50_000, delayMs: 20 });
    const sent = 'x'.repeat(4999) + 'y';
    client.socket.write(sent);
    await eventually(() => expect(client.text).toBe(sent));
    // 100 ms there for all; back, what comes last waits its own 20 ms and for its slice.
    expect(performance.now() - from).toBeGreaterThan(100 + 2 * 20);
    const rest = 'z'.repeat(1_000_000);
    proxy.heal();
    client.socket.write(rest);
    await eventually(() => expect(client.text.length).toBe(sent.length + rest.length));
  });

  it('stalls one way without closing and passes the held bytes on after heal', async () => {
    const proxy = await echoThroughProxy();
    const client = open(proxy.port);
    client.socket.write('a');
    await eventually(() => expect(client.text).toBe('a'));
    proxy.stallOneWay('to-client');
    client.socket.write('b');
    await expect(
      eventually(() => expect(client.text).toBe('ab'), { timeoutMs: 100 }),
    ).rejects.toThrow();
    expect(client.closed).toBe(false);
    proxy.heal();
    await eventually(() => expect(client.text).toBe('ab'));
  });
});
