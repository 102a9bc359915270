import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import { parse, stringify } from 'yaml';
import { loadIdentity, type Identity } from '../src/dev/identity.ts';
import { awaitJoined } from '../src/dev/joined.ts';
import { parseMetrics, total } from '../src/dev/metrics-text.ts';
import { lastingPort } from './faults/ports.ts';
import { ServiceProcess } from './faults/service-process.ts';

const MAIN = join(import.meta.dirname, '../src/site/main.ts');

export type SiteName = 'west' | 'east';
/** `mallory` is of a tenant of her own, in which she may do everything. */
export type User = 'admin' | 'publisher' | 'subscriber' | 'evil/mallory';

const MALLORY = 'mallory-of-evil';

interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly admin: number;
}

/** Sites west and east, joined, each a process of its own as `mesh dev` runs it. */
export class TwoSites {
  readonly #identity: Identity;
  readonly #ports: Readonly<Record<SiteName, Ports>>;
  readonly #processes: Readonly<Record<SiteName, ServiceProcess>>;
  readonly #open: { close(): void }[] = [];

  private constructor(
    dir: string,
    identity: Identity,
    ports: Record<SiteName, Ports>,
    settings: object,
  ) {
    this.#identity = identity;
    this.#ports = ports;
    const make = (site: SiteName, other: SiteName): ServiceProcess => {
      const folder = join(dir, site);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, 'site.json');
      const { http, grpc, admin } = ports[site];
      const config = {
        site,
        dir: folder,
        ...settings,
        bootstrapFile: identity.bootstrapFile,
        linkToken: { value: identity.linkToken },
        neighbours: [{ site: other, address: `127.0.0.1:${ports[other].grpc}` }],
        http: { port: http },
        grpc: { port: grpc },
        admin: { port: admin },
      };
      writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
      return new ServiceProcess(site, [MAIN, '--config', file]);
    };
    this.#processes = { west: make('west', 'east'), east: make('east', 'west') };
  }

  /**
   * Resolves when each site reaches the other.
   * @param settings Of both sites, beside those that a site must have.
   */
  static async start(dir: string, settings: object = {}): Promise<TwoSites> {
    const identity = loadIdentity(dir);
    withMallory(identity.bootstrapFile);
    const ports = { west: await freePorts(), east: await freePorts() };
    const sites = new TwoSites(dir, identity, ports, settings);
    try {
      await Promise.all([sites.#processes.west.start(), sites.#processes.east.start()]);
      await sites.joined();
      return sites;
    } catch (error) {
      await sites.stop();
      throw error;
    }
  }

  async joined(): Promise<void> {
    const sites = (['west', 'east'] as const).map((name) => {
      const { http, grpc } = this.#ports[name];
      return [name, { http: `http://127.0.0.1:${http}`, grpc: `127.0.0.1:${grpc}` }] as const;
    });
    const missing = await awaitJoined({ identity: this.#identity, sites }, 20_000);
    if (missing.length > 0) throw new Error(`the sites did not join: ${missing.join('; ')}`);
    // What is never stored is lost while a link is not up yet.
    for (const site of ['west', 'east'] as const) {
      await eventually(async () => {
        if ((await this.metric(site, 'eventmesh_link_up')) !== 1) throw new Error('no link yet');
      });
    }
  }

  /** Kills a site as a power cut would and starts it again; `meanwhile` is done while it is down. */
  async crash(site: SiteName, meanwhile: () => unknown = () => undefined): Promise<void> {
    await this.#processes[site].kill();
    await meanwhile();
    await this.#processes[site].start();
    await this.joined();
  }

  client(site: SiteName, user: User): MeshClient {
    const address = `127.0.0.1:${this.#ports[site].grpc}`;
    const client = new MeshClient({ address, user, password: this.#password(user) });
    this.#open.push(client);
    return client;
  }

  /** Flags by which the command line finds a site and says who calls. */
  flags(site: SiteName, user: User): readonly string[] {
    const grpc = `127.0.0.1:${this.#ports[site].grpc}`;
    return ['--grpc', grpc, '--user', `${user}:${this.#password(user)}`];
  }

  /** A call of the HTTP API. */
  http(site: SiteName, user: User, path: string, init: RequestInit = {}): Promise<Response> {
    const pair = Buffer.from(`${user}:${this.#password(user)}`).toString('base64');
    return fetch(`http://127.0.0.1:${this.#ports[site].http}${path}`, {
      ...init,
      headers: { authorization: `Basic ${pair}`, ...init.headers },
    });
  }

  /** The sum of a metric's samples with these labels. */
  async metric(
    site: SiteName,
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.#ports[site].admin}/metrics`);
    return total(parseMetrics(await response.text()), name, labels);
  }

  async stop(): Promise<void> {
    for (const open of this.#open.splice(0)) open.close();
    await Promise.all(Object.values(this.#processes).map((process) => process.kill()));
  }

  #password(user: User): string {
    return user === 'evil/mallory' ? MALLORY : (this.#identity.users[user] ?? '');
  }
}

const freePorts = async (): Promise<Ports> => ({
  http: await lastingPort(),
  grpc: await lastingPort(),
  admin: await lastingPort(),
});

interface Bootstrap {
  readonly users: object[];
  readonly policies: object[];
}

function withMallory(file: string): void {
  const { users, policies } = parse(readFileSync(file, 'utf8')) as Bootstrap;
  const tenant = 'evil';
  users.push({ tenant, name: 'mallory', password: { value: MALLORY }, roles: ['all'] });
  for (const action of ['publish', 'subscribe', 'admin', 'inspect']) {
    policies.push({ tenant, subject: 'role:all', action, filters: ['#'] });
  }
  writeFileSync(file, stringify({ users, policies }), { mode: 0o600 });
}
