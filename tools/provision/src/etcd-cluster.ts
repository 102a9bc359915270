import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEtcd, type EtcdOptions } from './etcd.ts';
import { freePorts } from './free-ports.ts';
import type { RunningServer } from './server-process.ts';

export interface EtcdClusterOptions extends Pick<
  EtcdOptions,
  'heartbeatMs' | 'electionMs' | 'binary' | 'readyTimeoutMs'
> {
  /** Folder for the folders of the members; made when missing. */
  readonly dir: string;
  /** Default 3. */
  readonly nodes?: number;
}

/**
 * Starts a cluster of etcds on loopback, whose peer ports stay over a restart; resolves when each of
 * them is healthy, which takes a leader.
 */
export async function startEtcdCluster(options: EtcdClusterOptions): Promise<RunningServer[]> {
  const { dir, nodes = 3, ...rest } = options;
  const peers = (await freePorts(nodes)).map((port, n) => ({
    name: `m${n + 1}`,
    peer: `http://127.0.0.1:${port}`,
  }));
  const cluster = peers.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const started = await Promise.allSettled(
    peers.map(({ name, peer }) =>
      startEtcd({ ...rest, dir: join(dir, name), member: { name, peer, cluster } }),
    ),
  );
  const servers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = started.find((each) => each.status === 'rejected');
  if (failed === undefined) return servers;
  await Promise.all(servers.map((server) => server.stop()));
  throw failed.reason;
}

/** The member that leads, asked of those that run. */
export async function etcdLeader(members: readonly RunningServer[]): Promise<RunningServer> {
  for (let tries = 0; tries < 500; tries++) {
    for (const member of members) if (await leads(member)) return member;
    await sleep(20);
  }
  throw new Error('no etcd leads');
}

/** By its metrics: its HTTP gateway does not know a port that it was given by the system. */
async function leads({ url }: RunningServer): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1000) });
    return (await answer.text()).includes('\netcd_server_is_leader 1\n');
  } catch {
    return false; // It is down.
  }
}
