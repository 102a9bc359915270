import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshClient } from '@eventmesh/sdk';
import { startEtcd, type RunningServer } from '@eventmesh/testing';
import { HttpClient } from '../../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../../src/dev/identity.ts';
import { awaitJoined } from '../../src/dev/joined.ts';
import type { Plan, SitePlan } from '../../src/dev/plan.ts';
import { configsOf } from '../../src/dev/services.ts';
import { lastingPort } from './ports.ts';
import { ServiceProcess } from './service-process.ts';

const APPS = join(import.meta.dirname, '../../..');
const SERVICES = ['registry', 'acl', 'governance', 'store-gateway'] as const;
type ServiceName = (typeof SERVICES)[number] | 'emesher';
type Pair = { readonly grpc: number; readonly admin: number };

/** An emesher of a site, as it ships. */
export interface Emesher {
  readonly process: ServiceProcess;
  readonly member: string;
  readonly grpc: string;
  readonly http: string;
}

export type User = 'admin' | 'publisher' | 'subscriber';

/** Sites with any number of emeshers each: every service a process, a shared etcd, embedded stores. */
export class SiteMesh {
  readonly identity: Identity;
  readonly #etcd: RunningServer;
  readonly #services: ServiceProcess[] = [];
  readonly #emeshers = new Map<string, Emesher[]>();

  private constructor(identity: Identity, etcd: RunningServer) {
    this.identity = identity;
    this.#etcd = etcd;
  }

  /** @param emeshers how many each site has */
  static async start(dir: string, emeshers: Readonly<Record<string, number>>): Promise<SiteMesh> {
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
    const mesh = new SiteMesh(identity, etcd);
    try {
      for (const site of plan.sites) {
        const nats = { url: '', monitorUrl: '' };
        const context = { plan, dir, identity, servicePorts: ports, etcdUrl: etcd.url, nats };
        await mesh.#plan(site, configsOf(site, context), dir, emeshers[site.name] ?? 1);
      }
      await Promise.all(mesh.#services.map((process) => process.start()));
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

  client({ grpc }: Emesher, user: User): MeshClient {
    return new MeshClient({ address: grpc, user, password: this.identity.users[user] ?? '' });
  }

  /** The management surface of an emesher. */
  manage({ http }: Emesher, user: User = 'admin'): HttpClient {
    const pair = Buffer.from(`${user}:${this.identity.users[user] ?? ''}`).toString('base64');
    return new HttpClient(http, `Basic ${pair}`);
  }

  async stop(): Promise<void> {
    const emeshers = [...this.#emeshers.values()].flat().map(({ process }) => process);
    await Promise.all([...emeshers, ...this.#services].map((process) => process.kill()));
    await this.#etcd.stop();
  }

  async #plan(
    site: SitePlan,
    configs: Readonly<Record<ServiceName, unknown>>,
    dir: string,
    emeshers: number,
  ): Promise<void> {
    for (const service of SERVICES) {
      const store = { kind: 'embedded', dir: join(dir, site.name, 'store') };
      const own = service === 'store-gateway' ? { store } : {};
      const config = { ...(configs[service] as object), ...own };
      this.#services.push(serviceProcess(dir, site.name, service, service, config));
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
        grpc: { port: grpc },
        admin: { port: admin },
        memberId: member,
      };
      const process = serviceProcess(dir, site.name, `emesher-${n}`, 'emesher', config);
      all.push({ process, member, grpc: `127.0.0.1:${grpc}`, http: `http://127.0.0.1:${http}` });
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
