import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshClient } from '@eventmesh/sdk';
import { HttpClient } from '../../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../../src/dev/identity.ts';
import { awaitJoined } from '../../src/dev/joined.ts';
import type { SiteName } from './fault-mesh.ts';
import { lastingPort } from './ports.ts';
import { ServiceProcess } from './service-process.ts';

const MAIN = join(import.meta.dirname, '../../src/site/main.ts');

interface Site {
  readonly name: SiteName;
  readonly http: number;
  readonly grpc: number;
  readonly admin: number;
}

/** Sites west and east as `mesh dev` runs them: a process each, on embedded state. */
export class EmbeddedMesh {
  readonly #identity: Identity;
  readonly #sites: readonly Site[];
  readonly #processes: ReadonlyMap<SiteName, ServiceProcess>;

  private constructor(
    identity: Identity,
    sites: readonly Site[],
    processes: ReadonlyMap<SiteName, ServiceProcess>,
  ) {
    this.#identity = identity;
    this.#sites = sites;
    this.#processes = processes;
  }

  /** Resolves when each site reaches the other. */
  static async start(dir: string): Promise<EmbeddedMesh> {
    const identity = loadIdentity(dir);
    const sites = [await planSite('west'), await planSite('east')];
    const processes = new Map(
      sites.map((site) => [site.name, siteProcess(dir, site, sites, identity)]),
    );
    const mesh = new EmbeddedMesh(identity, sites, processes);
    try {
      await Promise.all([...processes.values()].map((process) => process.start()));
      await mesh.joined();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  async joined(): Promise<void> {
    const addresses = this.#sites.map(
      ({ name, http, grpc }) =>
        [name, { http: `http://127.0.0.1:${http}`, grpc: `127.0.0.1:${grpc}` }] as const,
    );
    const missing = await awaitJoined({ identity: this.#identity, sites: addresses }, 20_000);
    if (missing.length > 0) throw new Error(`the sites did not join: ${missing.join('; ')}`);
  }

  site(name: SiteName): ServiceProcess {
    const found = this.#processes.get(name);
    if (found === undefined) throw new Error(`there is no site ${name}`);
    return found;
  }

  client(name: SiteName, user: 'publisher' | 'subscriber'): MeshClient {
    const password = this.#identity.users[user] ?? '';
    return new MeshClient({ address: `127.0.0.1:${this.#of(name).grpc}`, user, password });
  }

  admin(name: SiteName): HttpClient {
    const pair = Buffer.from(`admin:${this.#identity.users['admin'] ?? ''}`).toString('base64');
    return new HttpClient(`http://127.0.0.1:${this.#of(name).http}`, `Basic ${pair}`);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
  }

  #of(name: SiteName): Site {
    const found = this.#sites.find((site) => site.name === name);
    if (found === undefined) throw new Error(`there is no site ${name}`);
    return found;
  }
}

async function planSite(name: SiteName): Promise<Site> {
  const [http, grpc, admin] = [await lastingPort(), await lastingPort(), await lastingPort()];
  return { name, http, grpc, admin };
}

function siteProcess(
  dir: string,
  { name, http, grpc, admin }: Site,
  sites: readonly Site[],
  { linkToken, bootstrapFile }: Identity,
): ServiceProcess {
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'site.json');
  const neighbours = sites
    .filter((other) => other.name !== name)
    .map((other) => ({ site: other.name, address: `127.0.0.1:${other.grpc}` }));
  const config = {
    site: name,
    dir: folder,
    neighbours,
    bootstrapFile,
    linkToken: { value: linkToken },
    http: { port: http },
    grpc: { port: grpc },
    admin: { port: admin },
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return new ServiceProcess(name, [MAIN, '--config', file]);
}
