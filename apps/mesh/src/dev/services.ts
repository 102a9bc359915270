import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '@eventmesh/errors';
import {
  ProvisionError,
  startEtcd,
  startNats,
  type NatsServer,
  type RunningServer,
} from '@eventmesh/tools-provision';
import { addressesOf, pidsOf, stopAll, writeConfig } from './local-mesh.ts';
import type { StartedMesh, StartOptions } from './local-mesh.ts';
import { ManagedProcess, type ProcessObserver } from './managed-process.ts';
import { freePort, type Plan, type SitePlan } from './plan.ts';

const SERVICES = ['registry', 'acl', 'governance', 'store-gateway', 'emesher'] as const;
type ServiceName = (typeof SERVICES)[number];

interface ServicePorts {
  readonly grpc: number;
  readonly admin: number;
}

type SitePorts = Readonly<Record<ServiceName, ServicePorts>>;

const APPS = new URL('../../..', import.meta.url).pathname;

/**
 * Every service of every site as a process of its own, as they ship: one etcd for all, with a
 * prefix for each site, and a nats-server for each site.
 */
export async function startServices(options: StartOptions): Promise<StartedMesh> {
  const { plan, dir, identity } = options;
  const servers: RunningServer[] = [];
  const controls: ManagedProcess[] = [];
  const emeshers: ManagedProcess[] = [];
  const stop = async (): Promise<string[]> => {
    const disorderly = await stopAll(emeshers, controls);
    await Promise.all(servers.map((server) => server.stop()));
    return disorderly;
  };
  try {
    const ports = await choosePorts(plan);
    const { etcd, nats } = await startServers(options, servers);
    for (const site of plan.sites) {
      const configs = configsOf(site, {
        ...options,
        servicePorts: ports,
        etcdUrl: etcd.url,
        nats: nats.get(site.name),
      });
      for (const service of SERVICES) {
        const process = serviceProcess(site.name, service, configs[service], dir, options.observer);
        (service === 'emesher' ? emeshers : controls).push(process);
      }
    }
    options.note?.(`starting ${controls.length + emeshers.length} services`);
    await Promise.all(controls.map((process) => process.start()));
    await Promise.all(emeshers.map((process) => process.start()));
    return {
      plan,
      identity,
      sites: plan.sites.map((site) => [
        site.name,
        {
          ...addressesOf(site),
          acl: `127.0.0.1:${ports.get(site.name)?.acl.grpc}`,
          governance: `127.0.0.1:${ports.get(site.name)?.governance.grpc}`,
        },
      ]),
      pids: () => pidsOf([...controls, ...emeshers]),
      stop,
    };
  } catch (error) {
    await stop();
    if (error instanceof ProvisionError)
      throw new MeshError('Unavailable', error.message, { reason: 'NOT_STARTED' }, error);
    throw MeshError.from(error);
  }
}

/** The emesher has the ports of the plan; the others take free ones. */
export async function choosePorts({ sites }: Plan): Promise<ReadonlyMap<string, SitePorts>> {
  const used = new Set(sites.flatMap(({ http, grpc, admin }) => [http, grpc, admin]));
  const free = async (): Promise<number> => {
    const port = await freePort(0, used);
    used.add(port);
    return port;
  };
  const chosen = new Map<string, SitePorts>();
  for (const site of sites) {
    const ports: Partial<Record<ServiceName, ServicePorts>> = {
      emesher: { grpc: site.grpc, admin: site.admin },
    };
    for (const service of SERVICES) ports[service] ??= { grpc: await free(), admin: await free() };
    chosen.set(site.name, ports as SitePorts);
  }
  return chosen;
}

async function startServers(
  { plan, dir, note }: StartOptions,
  servers: RunningServer[],
): Promise<{ etcd: RunningServer; nats: ReadonlyMap<string, NatsServer> }> {
  note?.('looking for etcd and nats-server (building them takes minutes the first time)');
  const etcd = await startEtcd({ dir: join(dir, 'etcd') });
  servers.push(etcd);
  const nats = new Map<string, NatsServer>();
  for (const { name } of plan.sites) {
    const server = await startNats({ dir: join(dir, name, 'nats'), serverName: name });
    servers.push(server);
    nats.set(name, server);
  }
  return { etcd, nats };
}

interface SiteContext
  extends
    Pick<StartOptions, 'plan' | 'identity'>,
    Partial<Omit<StartOptions, 'plan' | 'identity'>> {
  readonly servicePorts: ReadonlyMap<string, SitePorts>;
  readonly etcdUrl: string;
  readonly nats: Pick<NatsServer, 'url' | 'monitorUrl'> | undefined;
}

/** The configuration of each service of a site. */
export function configsOf(
  site: SitePlan,
  { plan, identity, servicePorts, etcdUrl, nats }: SiteContext,
): Readonly<Record<ServiceName, unknown>> {
  const own = servicePorts.get(site.name);
  if (own === undefined || nats === undefined) {
    throw new MeshError('Internal', `${site.name} has no ports or no nats-server`);
  }
  const address = (service: ServiceName, at = own) => `127.0.0.1:${at[service].grpc}`;
  const common = (service: ServiceName) => ({
    site: site.name,
    grpc: { port: own[service].grpc },
    admin: { port: own[service].admin },
    serviceToken: { value: identity.serviceToken },
  });
  const kv = { kind: 'etcd', etcd: { hosts: [etcdUrl], prefix: `eventmesh/${site.name}/` } };
  const linkToken = { value: identity.linkToken };
  const neighbours = plan.sites
    .filter(({ name }) => site.neighbours.includes(name))
    .flatMap(({ name }) => {
      const theirs = servicePorts.get(name);
      return theirs === undefined ? [] : [{ name, theirs }];
    });
  const services = {
    registry: { address: address('registry') },
    store: { address: address('store-gateway') },
    acl: { address: address('acl') },
    governance: { address: address('governance') },
  };
  return {
    registry: {
      ...common('registry'),
      kv,
      linkToken,
      neighbours: neighbours.map(({ name, theirs }) => ({
        site: name,
        address: address('registry', theirs),
      })),
    },
    acl: {
      ...common('acl'),
      kv,
      bootstrap: { file: identity.bootstrapFile },
      governance: { address: address('governance') },
    },
    governance: {
      ...common('governance'),
      kv,
      services: { acl: services.acl, store: services.store },
    },
    'store-gateway': {
      ...common('store-gateway'),
      store: { kind: 'jetstream', servers: [nats.url], monitorUrls: [nats.monitorUrl] },
    },
    emesher: {
      ...common('emesher'),
      http: { port: site.http },
      services,
      linkToken,
      links: neighbours.map(({ name, theirs }) => ({
        site: name,
        address: address('emesher', theirs),
      })),
    },
  };
}

function serviceProcess(
  site: string,
  service: ServiceName,
  config: unknown,
  dir: string,
  observer: ProcessObserver,
): ManagedProcess {
  const folder = join(dir, site, service);
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = writeConfig(join(folder, 'config.yaml'), config);
  return new ManagedProcess(
    {
      name: `${site}/${service}`,
      args: [join(APPS, service, 'src/main.ts'), '--config', file],
      logFile: join(folder, 'log.jsonl'),
      readyTimeoutMs: 60_000,
    },
    observer,
  );
}
