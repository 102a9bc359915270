import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { provision } from '@eventmesh/tools-provision';
import { render, type RenderOptions } from './helm.ts';
import { ofKind, podsOf, type Container } from './kubernetes.ts';

let folder: string;
const running: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventmesh-backends-'));
});

afterAll(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
});

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

async function containerOf(component: string, options: RenderOptions): Promise<Container> {
  const pods = podsOf(await render(options));
  const pod = pods.find(({ labels }) => labels['app.kubernetes.io/component'] === component);
  return pod?.spec.containers[0] as Container;
}

/** Starts the real server and asks until it answers 200; what it said is in the failure. */
async function answersWell(binary: string, args: readonly string[], url: string): Promise<string> {
  const child = spawn(binary, args, { env: { POD_NAME: 'pod-0' } });
  running.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  }
  for (const end = Date.now() + 20_000; Date.now() < end && child.exitCode === null;) {
    const answer = await fetch(url).catch(() => undefined);
    const text = (await answer?.text()) ?? '';
    if (answer?.status === 200) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer: ${said.slice(-2000)}`);
}

async function natsConfig(options: RenderOptions): Promise<string> {
  const map = ofKind(await render(options), 'ConfigMap').find(({ data }) => data?.['nats.conf']);
  return map?.data?.['nats.conf'] ?? '';
}

describe('the bundled NATS', () => {
  it('starts from the rendered file, answers its probes and syncs always', async () => {
    const [client, monitor] = await freePorts(2);
    const config = (await natsConfig({}))
      .replace('0.0.0.0:4222', `127.0.0.1:${client}`)
      .replace('0.0.0.0:8222', `127.0.0.1:${monitor}`)
      .replace('/data/jetstream', join(folder, 'jetstream'))
      .replace('/run/nats/nats.pid', join(folder, 'nats.pid'));
    const file = join(folder, 'nats.conf');
    writeFileSync(file, config);
    const { startupProbe, livenessProbe, readinessProbe } = await containerOf('nats', {});
    const binary = await provision('nats-server');
    const base = `http://127.0.0.1:${monitor}`;
    await answersWell(binary, ['--config', file], `${base}${startupProbe?.httpGet?.path}`);
    for (const probe of [livenessProbe, readinessProbe]) {
      expect((await fetch(`${base}${probe?.httpGet?.path}`)).status).toBe(200);
    }
    const { server_name: name, jetstream } = (await (await fetch(`${base}/varz`)).json()) as {
      server_name: string;
      jetstream: { config: { sync_always?: boolean } };
    };
    expect({ name, always: jetstream.config.sync_always }).toEqual({ name: 'pod-0', always: true });
  });

  it('takes the rendered file of a cluster of three', async () => {
    const file = join(folder, 'cluster.conf');
    writeFileSync(file, await natsConfig({ values: { nats: { replicas: 3 } } }));
    const child = spawn(await provision('nats-server'), ['-t', '--config', file], {
      env: { POD_NAME: 'pod-0' },
    });
    running.push(child);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, said]).toEqual([0, expect.stringContaining('configuration file')]);
  });
});

describe('the bundled etcd', () => {
  it('starts with the rendered arguments and answers its probes', async () => {
    const ports = await freePorts(3);
    const { args = [], readinessProbe, livenessProbe } = await containerOf('etcd', {});
    const real = args.map((arg) =>
      arg
        .replaceAll('$(POD_NAME)', 'mesh-eventmesh-etcd-0')
        .replaceAll(/mesh-eventmesh-etcd-0\.mesh-eventmesh-etcd-headless|0\.0\.0\.0/g, '127.0.0.1')
        .replaceAll(/:(2379|2380|2381)\b/g, (_, port: string) => `:${ports[Number(port) - 2379]}`)
        .replace('/data/', `${folder}/`),
    );
    const base = `http://127.0.0.1:${ports[2]}`;
    const url = `${base}${readinessProbe?.httpGet?.path}`;
    expect(await answersWell(await provision('etcd'), real, url)).toContain('ok');
    expect((await fetch(`${base}${livenessProbe?.httpGet?.path}`)).status).toBe(200);
  });
});
