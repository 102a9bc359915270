import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshClient } from '@eventmesh/sdk';
import { grpcTransport, type TlsFiles, type Transport } from '@eventmesh/rpc';
import { startEtcd, startNats, type NatsServer, type RunningServer } from '@eventmesh/testing';
import { HttpClient } from '../../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../../src/dev/identity.ts';
import { awaitJoined } from '../../src/dev/joined.ts';
import { parseMetrics, total } from '../../src/dev/metrics-text.ts';
import type { Plan, SitePlan } from '../../src/dev/plan.ts';
import { configsOf } from '../../src/dev/services.ts';
import { beyondLeases } from './members.ts';
import { lastingPort } from './ports.ts';
import { ServiceProcess } from './service-process.ts';

const APPS = join(import.meta.dirname, '../../..');
const SERVICES = ['registry', 'acl', 'governance', 'store-gateway'] as const;
type ServiceName = (typeof SERVICES)[number] | 'emesher';
type Pair = { readonly grpc: number; readonly admin: number };

const OWNERSHIP = 'eventmesh_registry_ownership_total';

/** An emesher of a site, as it ships. */
export interface Emesher {
  readonly process: ServiceProcess;
  readonly member: string;
  readonly grpc: string;
  readonly http: string;
  /** host:port of its metrics. */
  readonly admin: string;
}

export interface SiteOptions {
  /** Stores on a nats-server for each site. Default: embedded ones. */
  readonly jetstream?: boolean;
  /** More settings of every emesher. */
  readonly emesher?: object;
  /** More settings of the gRPC server of an emesher, such as its certificate. */
  readonly grpcOf?: (member: string) => object;
  /** How clients reach the emeshers. Default: without TLS. */
  readonly tls?: TlsFiles;
}

export type User = 'admin' | 'publisher' | 'subscriber';

/** Sites with any number of emeshers each: every service a process, and a shared etcd. */
export class SiteMesh {
  readonly identity: Identity;
  readonly #etcd: RunningServer;
  readonly #nats = new Map<string, NatsServer>();
  readonly #services = new Map<string, ServiceProcess>();
  /** host:port of a service's gRPC server. */
  readonly #addresses = new Map<string, string>();
  /** host:port of its metrics. */
  readonly #admins = new Map<string, string>();
  readonly #emeshers = new Map<string, Emesher[]>();
  readonly #options: SiteOptions;

  private constructor(identity: Identity, etcd: RunningServer, options: SiteOptions) {
    this.identity = identity;
    this.#etcd = etcd;
    this.#options = options;
  }

  /** @param emeshers how many each site has */
  static async start(
    dir: string,
    emeshers: Readonly<Record<string, number>>,
    options: SiteOptions = {},
  ): Promise<SiteMesh> {
    const identity = loadIdentity(dir);
    const names = Object.keys(emeshers);
    const plan: Plan = { sites: [], moved: [] };
    const ports = new Map<string, Record<ServiceName, Pair>>();
    for (const name of names) {
      const own: Record<string, Pair> = {};
      for (const service of [...SERVICES, 'emesher']) {
        own[service] = { grpc: await lastingPort(), admin: await lastingPort() };
      }
      ports.set(name, own as Record<ServiceName, Pair>);
      const emesher = own['emesher'] ?? { grpc: 0, admin: 0 };
      const neighbours = names.filter((other) => other !== name);
      (plan.sites as SitePlan[]).push({ name, http: await lastingPort(), ...emesher, neighbours });
    }
    const etcd = await startEtcd({ dir: join(dir, 'etcd'), port: await lastingPort() });
    const mesh = new SiteMesh(identity, etcd, options);
    try {
      for (const site of plan.sites) {
        const nats = await mesh.#startStore(dir, site.name);
        const context = { plan, dir, identity, servicePorts: ports, etcdUrl: etcd.url, nats };
        await mesh.#plan(site, configsOf(site, context), dir, emeshers[site.name] ?? 1);
      }
      await Promise.all([...mesh.#services.values()].map((process) => process.start()));
      const all = [...mesh.#emeshers.values()].flat();
      await Promise.all(all.map(({ process }) => process.start()));
      await mesh.joined();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  async joined(): Promise<void> {
    const sites = [...this.#emeshers].map(
      ([name, [first]]) => [name, { http: first?.http ?? '', grpc: first?.grpc ?? '' }] as const,
    );
    const missing = await awaitJoined({ identity: this.identity, sites }, 20_000);
    if (missing.length > 0) throw new Error(`the sites did not join: ${missing.join('; ')}`);
  }

  /** @param index 0 for the first one of the site */
  emesher(index: number, site = 'west'): Emesher {
    const found = this.#emeshers.get(site)?.[index];
    if (found === undefined) throw new Error(`${site} has no emesher ${index}`);
    return found;
  }

  service(name: (typeof SERVICES)[number], site = 'west'): ServiceProcess {
    const found = this.#services.get(`${site}/${name}`);
    if (found === undefined) throw new Error(`${site} has no ${name}`);
    return found;
  }

  /** Calls to a service as its administrator; to be closed by the caller. */
  transport(name: (typeof SERVICES)[number] | 'emesher', site = 'west'): Transport {
    const address =
      name === 'emesher' ? this.emesher(0, site).grpc : this.#addresses.get(`${site}/${name}`);
    const authorization = this.#authorization('admin');
    return grpcTransport({ address: address ?? '', metadata: () => ({ authorization }) });
  }

  /** Kills the registry of a site; resolves when the leases of its emeshers have ended since. */
  killRegistryBeyondLeases(timeoutMs: number, site = 'west'): Promise<void> {
    const kill = () => this.service('registry', site).kill();
    return beyondLeases(this.#etcd.url, site, kill, timeoutMs);
  }

  /** How often a registry has said since its start that an ownership goes on under a new lease. */
  async resumed(site = 'west'): Promise<number> {
    const admin = this.#admins.get(`${site}/registry`) ?? '';
    const response = await fetch(`http://${admin}/metrics`);
    const outcome = 'resumed';
    return total(parseMetrics(await response.text()), OWNERSHIP, { outcome });
  }

  /** The store of a site that has one of its own. */
  nats(site = 'west'): NatsServer {
    const found = this.#nats.get(site);
    if (found === undefined) throw new Error(`${site} has no nats-server`);
    return found;
  }

  client({ grpc }: Emesher, user: User): MeshClient {
    const { tls } = this.#options;
    const password = this.identity.users[user] ?? '';
    return new MeshClient({ address: grpc, user, password, ...(tls === undefined ? {} : { tls }) });
  }

  /** For the command line. */
  flags({ http, grpc }: Emesher, user: User = 'admin'): string[] {
    const who = `${user}:${this.identity.users[user] ?? ''}`;
    return ['--server', http, '--grpc', grpc, '--user', who];
  }

  /** The sum of a metric's samples with these labels. */
  async metric(
    { admin }: Emesher,
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const response = await fetch(`http://${admin}/metrics`);
    return total(parseMetrics(await response.text()), name, labels);
  }

  /** The management surface of an emesher. */
  manage({ http }: Emesher, user: User = 'admin'): HttpClient {
    return new HttpClient(http, this.#authorization(user));
  }

  async stop(): Promise<void> {
    const emeshers = [...this.#emeshers.values()].flat().map(({ process }) => process);
    await Promise.all([...emeshers, ...this.#services.values()].map((process) => process.kill()));
    await Promise.all([this.#etcd, ...this.#nats.values()].map((server) => server.stop()));
  }

  #authorization(user: User): string {
    const pair = Buffer.from(`${user}:${this.identity.users[user] ?? ''}`).toString('base64');
    return `Basic ${pair}`;
  }

  async #startStore(dir: string, site: string): Promise<{ url: string; monitorUrl: string }> {
    if (this.#options.jetstream !== true) return { url: '', monitorUrl: '' };
    const [port, monitorPort] = [await lastingPort(), await lastingPort()];
    const folder = join(dir, site, 'nats');
    const nats = await startNats({ dir: folder, serverName: site, port, monitorPort });
    this.#nats.set(site, nats);
    return nats;
  }

  async #plan(
    site: SitePlan,
    configs: Readonly<Record<ServiceName, unknown>>,
    dir: string,
    emeshers: number,
  ): Promise<void> {
    for (const service of SERVICES) {
      const store = { kind: 'embedded', dir: join(dir, site.name, 'store') };
      const own = service === 'store-gateway' && !this.#nats.has(site.name) ? { store } : {};
      const config = { ...(configs[service] as object), ...own };
      const process = serviceProcess(dir, site.name, service, service, config);
      this.#services.set(process.name, process);
      const { grpc, admin } = config as unknown as Record<'grpc' | 'admin', { port: number }>;
      this.#addresses.set(process.name, `127.0.0.1:${grpc.port}`);
      this.#admins.set(process.name, `127.0.0.1:${admin.port}`);
    }
    const all: Emesher[] = [];
    for (let n = 1; n <= emeshers; n++) {
      const http = n === 1 ? site.http : await lastingPort();
      const grpc = n === 1 ? site.grpc : await lastingPort();
      const admin = n === 1 ? site.admin : await lastingPort();
      const member = `${site.name}-emesher-${n}`;
      const config = {
        ...(configs.emesher as object),
        http: { port: http },
        admin: { port: admin },
        memberId: member,
        ...this.#options.emesher,
        grpc: { port: grpc, ...this.#options.grpcOf?.(member) },
      };
      const process = serviceProcess(dir, site.name, `emesher-${n}`, 'emesher', config);
      all.push({
        process,
        member,
        grpc: `127.0.0.1:${grpc}`,
        http: `http://127.0.0.1:${http}`,
        admin: `127.0.0.1:${admin}`,
      });
    }
    this.#emeshers.set(site.name, all);
  }
}

function serviceProcess(
  dir: string,
  site: string,
  name: string,
  app: string,
  config: object,
): ServiceProcess {
  const folder = join(dir, site, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return new ServiceProcess(`${site}/${name}`, [join(APPS, app, 'src/main.ts'), '--config', file]);
}
