import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshClient } from '@eventmesh/sdk';
import { HttpClient } from '../../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../../src/dev/identity.ts';
import { lastingPort } from '../faults/ports.ts';
import { ServiceProcess } from '../faults/service-process.ts';
import { Workspace } from '../run-mesh.ts';

const MAIN = join(import.meta.dirname, '../../src/site/main.ts');

interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly admin: number;
}

/** One site as `mesh dev` runs it, on embedded state, which can be killed and started again. */
export class OneSite {
  readonly process: ServiceProcess;
  readonly #workspace: Workspace;
  readonly #identity: Identity;
  readonly #ports: Ports;

  private constructor(workspace: Workspace, identity: Identity, ports: Ports, file: string) {
    this.#workspace = workspace;
    this.#identity = identity;
    this.#ports = ports;
    this.process = new ServiceProcess('west', [MAIN, '--config', file]);
  }

  static async start(dataPlane: Readonly<Record<string, unknown>>): Promise<OneSite> {
    const workspace = new Workspace();
    const dir = join(workspace.folder, 'data');
    const identity = loadIdentity(dir);
    const ports = {
      http: await lastingPort(),
      grpc: await lastingPort(),
      admin: await lastingPort(),
    };
    const file = join(dir, 'site.json');
    const config = {
      site: 'west',
      dir,
      bootstrapFile: identity.bootstrapFile,
      dataPlane,
      http: { port: ports.http },
      grpc: { port: ports.grpc },
      admin: { port: ports.admin },
    };
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    const site = new OneSite(workspace, identity, ports, file);
    await site.process.start();
    return site;
  }

  client(user: 'publisher' | 'subscriber'): MeshClient {
    const password = this.#identity.users[user] ?? '';
    return new MeshClient({ address: `127.0.0.1:${this.#ports.grpc}`, user, password });
  }

  /** The management surface, for the administrator. */
  get http(): HttpClient {
    const pair = Buffer.from(this.#user).toString('base64');
    return new HttpClient(`http://127.0.0.1:${this.#ports.http}`, `Basic ${pair}`);
  }

  /** Runs `mesh … -o json` as the administrator and reads what it printed. */
  mesh<T>(...args: string[]): Promise<T> {
    const where = ['--grpc', `127.0.0.1:${this.#ports.grpc}`, '--user', this.#user];
    return this.#workspace.json<T>(...args, ...where);
  }

  /** The value of a metric, by its name and labels as they stand on the page. */
  async metric(line: string): Promise<number> {
    const page = await new HttpClient(`http://127.0.0.1:${this.#ports.admin}`, undefined).text(
      '/metrics',
    );
    const found = page.split('\n').find((each) => each.startsWith(`${line} `));
    return Number(found?.slice(line.length + 1) ?? Number.NaN);
  }

  async stop(): Promise<void> {
    await this.process.kill();
    await this.#workspace.remove();
  }

  get #user(): string {
    return `admin:${this.#identity.users['admin'] ?? ''}`;
  }
}
