import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { provision } from './provision.ts';
import { startServer, type RunningServer } from './server-process.ts';

export interface EtcdOptions {
  /** Folder for the data; made when missing. */
  readonly dir: string;
  /** Client port. Default 0: a free one. */
  readonly port?: number;
  /**
   * Raft heartbeat and election timeout in milliseconds. Default: etcd's own (100 and 1,000). The
   * shortest lease is one and a half election timeouts, rounded up to seconds.
   */
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  /** Of a cluster. Default: alone. */
  readonly member?: {
    readonly name: string;
    /** Address for the other members. */
    readonly peer: string;
    /** `name=peer` of all members, with commas between. */
    readonly cluster: string;
  };
  /** More arguments. Default none. */
  readonly extraArgs?: readonly string[];
  /** Default: found or made by `provision`. */
  readonly binary?: string;
  /** How long to wait for it to answer, in milliseconds. Default 20,000. */
  readonly readyTimeoutMs?: number;
}

/** Starts an etcd on loopback; resolves when it answers as healthy. */
export async function startEtcd(options: EtcdOptions): Promise<RunningServer> {
  const binary = options.binary ?? (await provision('etcd'));
  mkdirSync(options.dir, { recursive: true });
  return startServer({
    name: 'etcd',
    readyTimeoutMs: options.readyTimeoutMs ?? 20_000,
    url: (port) => `http://127.0.0.1:${port}`,
    command(port) {
      const args = argumentsOf(options, port ?? options.port ?? 0);
      return { binary, args, config: args.join(' ') };
    },
    async ready({ stderr }) {
      const port = readPort(stderr);
      return port !== undefined && (await isHealthy(port)) ? port : undefined;
    },
  });
}

function argumentsOf(options: EtcdOptions, port: number): string[] {
  const client = `http://127.0.0.1:${port}`;
  const alone = { name: 'eventmesh', peer: 'http://127.0.0.1:0' };
  const { name, peer, cluster } = options.member ?? {
    ...alone,
    cluster: `${alone.name}=${alone.peer}`,
  };
  return [
    ...['--name', name],
    ...['--data-dir', join(options.dir, 'data')],
    ...['--listen-client-urls', client],
    ...['--advertise-client-urls', client],
    ...['--listen-peer-urls', peer],
    ...['--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', cluster],
    ...['--log-outputs', 'stderr'],
    ...['--log-format', 'json'],
    ...(options.heartbeatMs === undefined
      ? []
      : ['--heartbeat-interval', String(options.heartbeatMs)]),
    ...(options.electionMs === undefined ? [] : ['--election-timeout', String(options.electionMs)]),
    ...(options.extraArgs ?? []),
  ];
}

/** etcd tells the port it got only in its log. */
function readPort(log: string): number | undefined {
  const match = /"msg":"serving client traffic[^\n]*"address":"[^"]*:(\d+)"/.exec(log);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(1000),
    });
    const { health } = (await answer.json()) as { health?: string };
    return health === 'true';
  } catch {
    return false; // Not listening yet: asked again until the deadline.
  }
}
