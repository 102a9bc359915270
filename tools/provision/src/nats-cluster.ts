import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './free-ports.ts';
import { startNats, type NatsOptions, type NatsServer } from './nats.ts';

export interface NatsClusterOptions extends Pick<NatsOptions, 'binary' | 'readyTimeoutMs'> {
  /** Folder for the folders of the nodes; made when missing. */
  readonly dir: string;
  /** Default 3. */
  readonly nodes?: number;
  /** When JetStream syncs to disk, at all nodes or, as a list, at each. Default `always`. */
  readonly syncInterval?: string | readonly string[];
}

/**
 * Starts a cluster of nats-servers on loopback, `n1` and on, with routes between them that stay over
 * a restart; resolves when each of them knows the leader of JetStream.
 */
export async function startNatsCluster(options: NatsClusterOptions): Promise<NatsServer[]> {
  const { dir, nodes = 3, readyTimeoutMs = 20_000, syncInterval = 'always', ...rest } = options;
  const syncAt = (n: number): string =>
    typeof syncInterval === 'string' ? syncInterval : (syncInterval[n] ?? 'always');
  const ports = await freePorts(nodes);
  const routes = ports.map((port) => JSON.stringify(`nats://127.0.0.1:${port}`)).join(', ');
  const starting = ports.map((port, n) =>
    startNats({
      ...rest,
      readyTimeoutMs,
      syncInterval: syncAt(n),
      dir: join(dir, `n${n + 1}`),
      serverName: `n${n + 1}`,
      extraConfig: [
        'cluster {',
        '  name: eventmesh',
        `  listen: "127.0.0.1:${port}"`,
        `  routes: [${routes}]`,
        '}',
      ].join('\n'),
    }),
  );
  const started = await Promise.allSettled(starting);
  const servers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    for (const each of started) if (each.status === 'rejected') throw each.reason;
    await Promise.all(servers.map((server) => knowsLeader(server, nodes, readyTimeoutMs)));
    return servers;
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    throw error;
  }
}

/**
 * What a server still lacks to be one of the cluster: a leader that it follows, or routes to all
 * others, over which calls reach it; undefined when it lacks nothing.
 */
async function lacks({ monitorUrl }: NatsServer, nodes: number): Promise<string | undefined> {
  const read = async (path: string) => (await fetch(`${monitorUrl}${path}`)).json();
  const { meta_cluster: meta } = (await read('/jsz')) as {
    meta_cluster?: { leader?: string; cluster_size?: number };
  };
  const { routes = [] } = (await read('/routez')) as { routes?: { remote_name?: string }[] };
  const { status } = (await read('/healthz')) as { status?: string };
  const others = new Set(routes.map(({ remote_name: name }) => name));
  const led = (meta?.leader ?? '') !== '' && meta?.cluster_size === nodes;
  if (led && others.size === nodes - 1 && status === 'ok') return undefined;
  const found = `leader "${meta?.leader ?? ''}" of ${meta?.cluster_size ?? 0} servers`;
  return `${found}, routes to ${[...others].join(' and ')}, health ${status}`;
}

async function knowsLeader(server: NatsServer, nodes: number, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await lacks(server, nodes);
    if (found === undefined) return;
    if (Date.now() > deadline) {
      throw new Error(`${server.monitorUrl} is not in the cluster after ${timeoutMs} ms: ${found}`);
    }
    await sleep(20);
  }
}
