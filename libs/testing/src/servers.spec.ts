import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startEtcd, startNats, type RunningServer } from '@eventmesh/tools-provision';
import { eventually } from './eventually.ts';
import { tempDir } from './temp-dir.ts';

/** Real servers, as every end-to-end test starts them. */
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const folder = () => {
  const dir = tempDir('servers');
  closing.push(dir.remove);
  return dir.path;
};
const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function expectSameAddressAfterRestart(server: RunningServer): Promise<void> {
  const { url, pid } = server;
  await server.kill('SIGKILL');
  expect(isRunning(pid)).toBe(false);
  await server.restart();
  expect(server.url).toBe(url);
  expect(server.pid).not.toBe(pid);
}

describe('startNats', () => {
  it('runs JetStream with a sync before each ack, on a free port kept over kill and restart', async () => {
    const server = await startNats({ dir: folder() });
    closing.push(() => server.stop());
    expect(server.config).toContain('sync_interval: always');
    const varz = async () =>
      (await (await fetch(`${server.monitorUrl}/varz`)).json()) as {
        port: number;
        jetstream: { config: { sync_always?: boolean } };
      };
    const before = await varz();
    expect(before.port).toBe(server.port);
    expect(before.jetstream.config.sync_always).toBe(true);
    await expectSameAddressAfterRestart(server);
    expect((await varz()).port).toBe(server.port);
  });

  it('tells the last words of a server that does not start', async () => {
    const start = startNats({ dir: folder(), extraConfig: 'no_such_setting: 1' });
    await expect(start).rejects.toThrow(/nats-server did not start[^]*no_such_setting/);
  });

  it('can be stopped in its tracks and go on, and stops even then', async () => {
    const server = await startNats({ dir: folder(), jetstream: false });
    const greet = async () => {
      const socket = connect({ host: '127.0.0.1', port: server.port });
      closing.push(() => socket.destroy());
      const [first] = (await once(socket, 'data', { signal: AbortSignal.timeout(300) })) as [
        Buffer,
      ];
      return first.toString();
    };
    await server.kill('SIGSTOP');
    // The system stops all its threads soon, not at once.
    await eventually(() => expect(greet()).rejects.toThrow('aborted'));
    await server.kill('SIGCONT');
    expect(await greet()).toMatch(/^INFO /);
    await server.kill('SIGSTOP');
    await server.stop();
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
  });
});

describe('startEtcd', () => {
  it('answers as healthy on a free port kept over kill and restart, with its data', async () => {
    const server = await startEtcd({ dir: folder() });
    closing.push(() => server.stop());
    await expectSameAddressAfterRestart(server);
    const post = async (path: string, body: object) =>
      (await (
        await fetch(`${server.url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) })
      ).json()) as { count?: string };
    await post('put', { key: 'YQ==', value: 'Yg==' });
    await server.kill();
    await server.restart();
    expect((await post('range', { key: 'YQ==' })).count).toBe('1');
  });
});
