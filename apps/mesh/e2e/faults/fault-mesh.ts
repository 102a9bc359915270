import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { MeshClient } from '@eventmesh/sdk';
import {
  eventually,
  startEtcd,
  startNats,
  startProxy,
  type FaultProxy,
  type NatsServer,
  type RunningServer,
} from '@eventmesh/testing';
import { HttpClient } from '../../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../../src/dev/identity.ts';
import { awaitJoined } from '../../src/dev/joined.ts';
import { parseMetrics, total } from '../../src/dev/metrics-text.ts';
import type { Plan, SitePlan } from '../../src/dev/plan.ts';
import { configsOf } from '../../src/dev/services.ts';
import { beyondLeases } from './members.ts';
import { lastingPort } from './ports.ts';
import { ServiceProcess } from './service-process.ts';

export const SERVICES = ['registry', 'acl', 'governance', 'store-gateway', 'emesher'] as const;
export type ServiceName = (typeof SERVICES)[number];
export type SiteName = 'west' | 'east';
const SITES: readonly SiteName[] = ['west', 'east'];
const APPS = join(import.meta.dirname, '../../..');

/** What an emesher reaches through a proxy of its own, by the key of its configuration. */
const UPSTREAMS = [
  ['store', 'store-gateway'],
  ['acl', 'acl'],
  ['registry', 'registry'],
] as const;
export type Upstream = (typeof UPSTREAMS)[number][1];

type Ports = Readonly<Record<ServiceName, { readonly grpc: number; readonly admin: number }>>;

/**
 * Sites west and east as they are deployed: each service a process, a nats-server a site, one
 * etcd. What an emesher sends to the other site goes through a proxy that can fail.
 */
export class FaultMesh {
  readonly identity: Identity;
  readonly etcd: RunningServer;
  readonly nats: ReadonlyMap<SiteName, NatsServer>;
  /** The link that a site sends on. */
  readonly links: ReadonlyMap<SiteName, FaultProxy>;
  readonly #upstreams: ReadonlyMap<string, FaultProxy>;
  readonly #processes: ReadonlyMap<string, ServiceProcess>;
  readonly #ports: ReadonlyMap<string, Ports>;
  readonly #http: ReadonlyMap<string, number>;

  private constructor(parts: {
    identity: Identity;
    etcd: RunningServer;
    nats: ReadonlyMap<SiteName, NatsServer>;
    links: ReadonlyMap<SiteName, FaultProxy>;
    upstreams: ReadonlyMap<string, FaultProxy>;
    processes: ReadonlyMap<string, ServiceProcess>;
    ports: ReadonlyMap<string, Ports>;
    http: ReadonlyMap<string, number>;
  }) {
    this.identity = parts.identity;
    this.etcd = parts.etcd;
    this.nats = parts.nats;
    this.links = parts.links;
    this.#upstreams = parts.upstreams;
    this.#processes = parts.processes;
    this.#ports = parts.ports;
    this.#http = parts.http;
  }

  /**
   * Resolves when each site reaches the other. Nothing is left running when it fails.
   * @param emesher more settings of both emeshers
   */
  static async start(dir: string, emesher: object = {}): Promise<FaultMesh> {
    const identity = loadIdentity(dir);
    const planned = await plan();
    const ports = await choosePorts(planned.sites);
    const [etcd, west, east] = await Promise.all([
      startEtcd({ dir: join(dir, 'etcd'), port: await lastingPort() }),
      nats(dir, 'west'),
      nats(dir, 'east'),
    ]);
    const stores = new Map<SiteName, NatsServer>([
      ['west', west],
      ['east', east],
    ]);
    const links = new Map<SiteName, FaultProxy>();
    const upstreams = new Map<string, FaultProxy>();
    const processes = new Map<string, ServiceProcess>();
    for (const site of planned.sites) {
      const other = site.name === 'west' ? 'east' : 'west';
      const proxy = await startProxy({ port: ports.get(other)?.emesher.grpc ?? 0 });
      links.set(site.name as SiteName, proxy);
      const configs = configsOf(site, {
        sites: 2,
        dir,
        plan: planned,
        identity,
        servicePorts: ports,
        etcdUrl: etcd.url,
        nats: stores.get(site.name as SiteName),
        observer: { crashed: () => undefined, recovered: () => undefined, failed: () => undefined },
      });
      const services: Record<string, { address: string }> = {};
      for (const [key, service] of UPSTREAMS) {
        const upstream = await startProxy({ port: ports.get(site.name)?.[service].grpc ?? 0 });
        upstreams.set(`${site.name}/${service}`, upstream);
        services[key] = { address: `127.0.0.1:${upstream.port}` };
      }
      const mended = { ...throughProxies(configs.emesher, proxy.port, services), ...emesher };
      for (const service of SERVICES) {
        const own = service === 'emesher' ? mended : {};
        const config = { ...(configs[service] as object), ...own };
        processes.set(
          `${site.name}/${service}`,
          serviceProcess(join(dir, site.name), site.name, service, config),
        );
      }
    }
    const http = new Map(planned.sites.map(({ name, http: port }) => [name, port]));
    const mesh = new FaultMesh({
      identity,
      etcd,
      nats: stores,
      links,
      upstreams,
      processes,
      ports,
      http,
    });
    try {
      await mesh.startServices();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  service(site: SiteName, service: ServiceName): ServiceProcess {
    const found = this.#processes.get(`${site}/${service}`);
    if (found === undefined) throw new Error(`there is no ${site}/${service}`);
    return found;
  }

  /** The way from the emesher of a site to another service of it. */
  upstream(site: SiteName, service: Upstream): FaultProxy {
    const found = this.#upstreams.get(`${site}/${service}`);
    if (found === undefined) throw new Error(`there is no way to ${site}/${service}`);
    return found;
  }

  /** Starts all services that do not run, the emeshers last, and waits until the sites join. */
  async startServices(): Promise<void> {
    const down = [...this.#processes.values()].filter(({ up }) => !up);
    const emeshers = down.filter(({ name }) => name.endsWith('/emesher'));
    await Promise.all(
      down.filter((each) => !emeshers.includes(each)).map((process) => process.start()),
    );
    await Promise.all(emeshers.map((process) => process.start()));
    const missing = await awaitJoined(
      {
        identity: this.identity,
        sites: SITES.map((name) => [name, { http: this.http(name), grpc: this.grpc(name) }]),
      },
      20_000,
    );
    if (missing.length > 0) throw new Error(`the sites did not join: ${missing.join('; ')}`);
  }

  /** Everything at once, as when the power fails, but for what the system holds in its cache. */
  async killAll(): Promise<void> {
    await Promise.all([
      ...[...this.#processes.values()].map((process) => process.kill()),
      ...[this.etcd, ...this.nats.values()].map((server) => server.kill()),
    ]);
  }

  async restartAll(): Promise<void> {
    await Promise.all([this.etcd, ...this.nats.values()].map((server) => server.restart()));
    await this.startServices();
  }

  grpc(site: SiteName, service: ServiceName = 'emesher'): string {
    return `127.0.0.1:${this.#ports.get(site)?.[service].grpc ?? 0}`;
  }

  /** The sum of a metric's samples with these labels. */
  async metric(
    site: SiteName,
    service: ServiceName,
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const { admin } = this.#ports.get(site)?.[service] ?? { admin: 0 };
    const response = await fetch(`http://127.0.0.1:${admin}/metrics`);
    return total(parseMetrics(await response.text()), name, labels);
  }

  /** Kills both registries; resolves when the leases of the emeshers have ended since. */
  async killRegistriesBeyondLeases(timeoutMs: number): Promise<void> {
    const kill = (site: SiteName) => () => this.service(site, 'registry').kill();
    await Promise.all(
      SITES.map((site) => beyondLeases(this.etcd.url, site, kill(site), timeoutMs)),
    );
  }

  /**
   * Each emesher holds a lease that its registry has just confirmed: the old one, or a new one after
   * it was told that the old one has ended.
   */
  async leasesConfirmed(timeoutMs: number): Promise<void> {
    const labels = { method: 'KeepAlive', code: 'ok' };
    const count = (site: SiteName) =>
      this.metric(site, 'registry', 'eventmesh_rpc_seconds_count', labels);
    for (const site of SITES) {
      const before = await count(site);
      await eventually(async () => expect(await count(site)).toBeGreaterThan(before), {
        timeoutMs,
      });
    }
  }

  http(site: SiteName): string {
    return `http://127.0.0.1:${this.#http.get(site) ?? 0}`;
  }

  /** A client with a connection of its own. */
  client(site: SiteName, user: 'admin' | 'publisher' | 'subscriber', password?: string) {
    return new MeshClient({
      address: this.grpc(site),
      user,
      password: password ?? this.identity.users[user] ?? '',
    });
  }

  /** The management surface of a site, as its administrator. */
  admin(site: SiteName): HttpClient {
    const pair = Buffer.from(`admin:${this.identity.users['admin'] ?? ''}`).toString('base64');
    return new HttpClient(this.http(site), `Basic ${pair}`);
  }

  /** Ends everything; what does not stop in order is killed by the servers' own deadline. */
  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
    await Promise.all([
      ...[this.etcd, ...this.nats.values()].map((server) => server.stop()),
      ...[...this.links.values(), ...this.#upstreams.values()].map((proxy) => proxy.close()),
    ]);
  }
}

async function choosePorts(sites: readonly SitePlan[]): Promise<ReadonlyMap<string, Ports>> {
  const chosen = new Map<string, Ports>();
  for (const { name, grpc, admin } of sites) {
    const pairs: Partial<Record<ServiceName, { grpc: number; admin: number }>> = {
      emesher: { grpc, admin },
    };
    for (const service of SERVICES) {
      pairs[service] ??= { grpc: await lastingPort(), admin: await lastingPort() };
    }
    chosen.set(name, pairs as Ports);
  }
  return chosen;
}

async function plan(): Promise<Plan> {
  const sites: SitePlan[] = [];
  for (const name of SITES) {
    const [http, grpc, admin] = [await lastingPort(), await lastingPort(), await lastingPort()];
    sites.push({ name, http, grpc, admin, neighbours: SITES.filter((other) => other !== name) });
  }
  return { sites, moved: [] };
}

async function nats(dir: string, site: SiteName): Promise<NatsServer> {
  const [port, monitorPort] = [await lastingPort(), await lastingPort()];
  return startNats({ dir: join(dir, site, 'nats'), serverName: site, port, monitorPort });
}

function throughProxies(config: unknown, port: number, through: object): object {
  const { links, services } = config as { links: { site: string }[]; services: object };
  return {
    links: links.map(({ site }) => ({ site, address: `127.0.0.1:${port}` })),
    services: { ...services, ...through },
  };
}

function serviceProcess(
  dir: string,
  site: string,
  service: ServiceName,
  config: object,
): ServiceProcess {
  const folder = join(dir, service);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return new ServiceProcess(`${site}/${service}`, [
    join(APPS, service, 'src/main.ts'),
    '--config',
    file,
  ]);
}
