import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { provision } from './provision.ts';
import { startServer, type RunningServer } from './server-process.ts';

export interface NatsOptions {
  /** Folder for configuration and data; made when missing. */
  readonly dir: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** HTTP monitoring port: 0 is a free one, read it from `monitorUrl`. Default 0. */
  readonly monitorPort?: number;
  /** Default true. */
  readonly jetstream?: boolean;
  /** When JetStream syncs to disk. Default `always`; the server's own default is `2m`. */
  readonly syncInterval?: string;
  /** Default `eventmesh`. */
  readonly serverName?: string;
  /** More lines for the configuration file. Default none. */
  readonly extraConfig?: string;
  /** Default: found or made by `provision`. */
  readonly binary?: string;
  /** How long to wait for it to answer, in milliseconds. Default 20,000. */
  readonly readyTimeoutMs?: number;
}

export interface NatsServer extends RunningServer {
  /** Base of the HTTP monitoring endpoints (`/varz`, `/jsz`). */
  readonly monitorUrl: string;
}

/** Starts a nats-server on loopback; resolves when it answers and JetStream, if wanted, is up. */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const binary = options.binary ?? (await provision('nats-server'));
  const { dir } = options;
  mkdirSync(dir, { recursive: true });
  let monitorPort = options.monitorPort ?? 0;
  const server = await startServer({
    name: 'nats-server',
    readyTimeoutMs: options.readyTimeoutMs ?? 20_000,
    url: (port) => `nats://127.0.0.1:${port}`,
    command(port) {
      const config = configText(options, port ?? options.port ?? 0, monitorPort);
      const file = join(dir, 'nats-server.conf');
      writeFileSync(file, config);
      return { binary, args: ['-c', file], config };
    },
    async ready({ pid }) {
      const ports = readPorts(dir, pid);
      if (ports === undefined) return undefined;
      monitorPort = ports.monitor;
      return (await answers(ports.client, options.jetstream ?? true)) ? ports.client : undefined;
    },
  });
  Object.defineProperty(server, 'monitorUrl', { get: () => `http://127.0.0.1:${monitorPort}` });
  return server as NatsServer;
}

/** One setting per line: the server's parser wants it so inside a block. Port -1 is a free one. */
function configText(options: NatsOptions, port: number, monitorPort: number): string {
  const jetstream = [
    'jetstream {',
    `  store_dir: ${JSON.stringify(join(options.dir, 'data'))}`,
    `  sync_interval: ${options.syncInterval ?? 'always'}`,
    '}',
  ];
  return [
    `server_name: ${JSON.stringify(options.serverName ?? 'eventmesh')}`,
    `listen: "127.0.0.1:${port === 0 ? -1 : port}"`,
    // As the chart sets it: room for the largest event and its headers.
    'max_payload: 8MB',
    `http: "127.0.0.1:${monitorPort === 0 ? -1 : monitorPort}"`,
    `ports_file_dir: ${JSON.stringify(options.dir)}`,
    ...((options.jetstream ?? true) ? jetstream : []),
    ...(options.extraConfig === undefined ? [] : [options.extraConfig]),
    '',
  ].join('\n');
}

/** The server writes the ports it got to `nats-server_<pid>.ports`. */
function readPorts(dir: string, pid: number): { client: number; monitor: number } | undefined {
  try {
    const text = readFileSync(join(dir, `nats-server_${pid}.ports`), 'utf8');
    const { nats, monitoring } = JSON.parse(text) as { nats: string[]; monitoring: string[] };
    const portOf = (url: string | undefined) => Number(new URL(url ?? '').port);
    return { client: portOf(nats[0]), monitor: portOf(monitoring[0]) };
  } catch {
    return undefined; // Not there, or only half written yet: asked again until the deadline.
  }
}

/** The first thing a server says is `INFO {…}`, with `"jetstream":true` once that is up. */
function answers(port: number, jetstream: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      if (!text.includes('\r\n')) return;
      settle(text.startsWith('INFO ') && (!jetstream || text.includes('"jetstream":true')));
    });
    socket.once('error', () => {
      settle(false);
    });
    socket.setTimeout(1000, () => {
      settle(false);
    });
  });
}
