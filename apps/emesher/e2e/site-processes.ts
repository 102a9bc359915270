import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tempDir } from '@eventmesh/testing';

const APPS = join(import.meta.dirname, '../..');
const SERVICE_TOKEN = { value: 'shared-by-the-services' };
export const LINK_TOKEN = 'shared-by-the-sites';

/** The emesher takes whatever a stranger sends; the bootstrap names who is none. */
const BOOTSTRAP = `
users:
  - { name: pub, password: { value: pubs-password }, roles: [publisher] }
  - { name: sub, password: { value: subs-password }, roles: [subscriber] }
policies:
  - { subject: 'role:publisher', action: publish, filters: ['a/#', '/#'] }
  - { subject: 'role:subscriber', action: subscribe, filters: ['a/#'] }
`;

interface Started {
  readonly child: ChildProcess;
  readonly addresses: { readonly grpc: string; readonly admin: string; readonly http?: string };
  readonly log: string[];
}

/** An emesher with the services that it needs, each the shipped program, on embedded state. */
export class SiteProcesses {
  readonly #dir = tempDir('emesher-e2e');
  readonly #children: ChildProcess[] = [];
  #emesher: Started | undefined;

  async start(): Promise<void> {
    process.once('exit', this.#killAll);
    const { path } = this.#dir;
    const bootstrap = join(path, 'bootstrap.yaml');
    writeFileSync(bootstrap, BOOTSTRAP);
    const [store, acl, registry] = await Promise.all([
      this.#serve('store-gateway', { store: { kind: 'embedded', dir: join(path, 'store') } }),
      this.#serve('acl', {
        kv: { kind: 'embedded', dir: join(path, 'acl') },
        password: { costLog2: 12, parallel: 1 },
        bootstrap: { file: bootstrap },
      }),
      this.#serve('registry', { kv: { kind: 'embedded', dir: join(path, 'registry') } }),
    ]);
    const services = {
      store: { address: store.addresses.grpc },
      acl: { address: acl.addresses.grpc },
    };
    const governance = await this.#serve('governance', {
      kv: { kind: 'embedded', dir: join(path, 'governance') },
      services,
    });
    this.#emesher = await this.#serve('emesher', {
      http: { port: 0 },
      services: {
        ...services,
        registry: { address: registry.addresses.grpc },
        governance: { address: governance.addresses.grpc },
      },
      linkToken: { value: LINK_TOKEN },
      // A neighbour that is never there: port 1 is reserved and nobody listens on it.
      links: [{ site: 'east', address: '127.0.0.1:1' }],
    });
  }

  /** `host:port` of the emesher's gRPC server. */
  get grpc(): string {
    return this.#started.addresses.grpc;
  }

  get admin(): string {
    return this.#started.addresses.admin;
  }

  /** What the emesher has logged at the levels `error` and `fatal`. */
  get complaints(): readonly string[] {
    return this.#started.log.filter((line) => /"level":"(error|fatal)"/.test(line));
  }

  get running(): boolean {
    const { child } = this.#started;
    return child.exitCode === null && child.signalCode === null;
  }

  /** SIGTERM to the emesher; answers its exit code. */
  async drain(): Promise<number | null> {
    const { child } = this.#started;
    if (this.running) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    return child.exitCode;
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#killAll);
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    this.#dir.remove();
  }

  readonly #killAll = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  get #started(): Started {
    if (this.#emesher === undefined) throw new Error('the emesher was not started');
    return this.#emesher;
  }

  async #serve(app: string, settings: object): Promise<Started> {
    const folder = join(this.#dir.path, 'config');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${app}.json`);
    const ports = { grpc: { port: 0 }, admin: { port: 0 } };
    const config = { site: 'west', ...ports, serviceToken: SERVICE_TOKEN, ...settings };
    writeFileSync(file, JSON.stringify(config));
    const main = join(APPS, app, 'src/main.ts');
    const child = spawn(process.execPath, [main, '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    const log: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
    const ready = Promise.withResolvers<Started['addresses']>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.push(line);
      if (!line.includes('"msg":"ready"')) return;
      ready.resolve((JSON.parse(line) as Pick<Started, 'addresses'>).addresses);
    });
    child.once('close', (code) => {
      ready.reject(new Error(`${app} ended with ${code}:\n${log.slice(-20).join('\n')}`));
    });
    return { child, addresses: await ready.promise, log };
  }
}
