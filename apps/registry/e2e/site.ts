import { loadConfig } from '@eventmesh/config';
import type { Clock, Kv } from '@eventmesh/kv-api';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { RegistryService, type GetTopologyResponse } from '@eventmesh/proto-gen/registry';
import {
  RpcServer,
  createClient,
  grpcTransport,
  localTransport,
  type Client,
} from '@eventmesh/rpc';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { tempDir, type TempDir } from '@eventmesh/testing';
import { createRegistryApp, registryAppConfig, type RegistryApp } from '../src/index.ts';

export const LINK_TOKEN = 'link-token-of-the-tests';

/** The registry of one site on an embedded store, over real gRPC; can be stopped and restarted. */
export class TestSite {
  readonly name: string;
  readonly neighbours: readonly object[];
  readonly metrics = new Metrics();
  readonly #dir: TempDir;
  readonly #settings: object;
  readonly #openKv: (dir: string) => Promise<Kv>;
  #port = 0;
  #kv: Kv | undefined;
  #apps: { app: RegistryApp; server: RpcServer; close: () => void }[] = [];
  #client: Client<typeof RegistryService> | undefined;

  private constructor(
    name: string,
    dir: TempDir,
    neighbours: readonly object[],
    settings: object,
    openKv: (dir: string) => Promise<Kv>,
  ) {
    this.name = name;
    this.neighbours = neighbours;
    this.#dir = dir;
    this.#settings = settings;
    this.#openKv = openKv;
  }

  static async start(
    name: string,
    neighbours: readonly object[],
    settings: object = {},
    openKv: (dir: string) => Promise<Kv> = (dir) => openEmbeddedKv({ dir }),
  ): Promise<TestSite> {
    const dir = tempDir(`registry-${name}`);
    const site = new TestSite(name, dir, neighbours, settings, openKv);
    await site.up();
    return site;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get client(): Client<typeof RegistryService> {
    if (this.#client === undefined) throw new Error(`${this.name} is stopped`);
    return this.#client;
  }

  get kv(): Kv {
    if (this.#kv === undefined) throw new Error(`${this.name} is stopped`);
    return this.#kv;
  }

  /** Calls the running registry without gRPC. */
  local(): { client: Client<typeof RegistryService>; close: () => void } {
    const app = this.#apps[0]?.app;
    if (app === undefined) throw new Error(`${this.name} is stopped`);
    const transport = localTransport(app.router);
    return { client: createClient(RegistryService, transport), close: () => transport.close() };
  }

  /** Starts it, on the folder and the port that it had before. */
  up(): Promise<void> {
    return this.upAfter(() => Promise.resolve());
  }

  /** Starts it again when something was done to its control state. */
  async upAfter(work: (kv: Kv) => Promise<void>): Promise<void> {
    this.#kv = await this.#openKv(this.#dir.path);
    await work(this.#kv);
    const first = await this.replica(this.#port);
    this.#port = first.port;
    this.#client = first.client;
  }

  /** One more registry process on the same control state. */
  async replica(
    port = 0,
    neighbours: readonly object[] = this.neighbours,
    clock?: Clock,
  ): Promise<{ port: number; client: Client<typeof RegistryService>; stop: () => Promise<void> }> {
    const config = loadConfig(registryAppConfig, {
      value: {
        site: this.name,
        linkToken: { value: LINK_TOKEN },
        neighbours,
        exchange: { ping: '100ms', deadAfter: '2s', reconnectMax: '200ms' },
        interest: { linger: '100ms' },
        ...this.#settings,
      },
    });
    const app = createRegistryApp(config, {
      kv: this.kv,
      log: createLogger({ level: 'silent', service: 'registry' }),
      metrics: this.metrics,
      ...(clock === undefined ? {} : { clock }),
    });
    await app.start();
    const server = new RpcServer(app.router, { port });
    await server.start();
    const transport = grpcTransport({ address: server.address });
    const entry = { app, server, close: () => transport.close() };
    this.#apps.push(entry);
    return {
      port: server.port,
      client: createClient(RegistryService, transport),
      stop: async () => {
        this.#apps = this.#apps.filter((other) => other !== entry);
        await stopApp(entry);
      },
    };
  }

  async down(): Promise<void> {
    const apps = this.#apps;
    this.#apps = [];
    this.#client = undefined;
    await Promise.all(apps.map(stopApp));
    await this.#kv?.close();
    this.#kv = undefined;
  }

  async remove(): Promise<void> {
    await this.down();
    this.#dir.remove();
  }

  /** Follows the watch until the topology is as wanted. */
  async topology(wanted: (topology: GetTopologyResponse) => boolean): Promise<GetTopologyResponse> {
    const { client } = this;
    const stop = new AbortController();
    const late = AbortSignal.timeout(15_000);
    let last: GetTopologyResponse | undefined;
    try {
      const signal = AbortSignal.any([stop.signal, late]);
      for await (const change of client.watch({}, { signal })) {
        if (change.change.case !== 'snapshot' && change.change.case !== 'routing') continue;
        last = await client.getTopology({});
        if (wanted(last)) return last;
      }
    } catch (error) {
      if (!late.aborted) throw error;
    } finally {
      stop.abort();
    }
    const seen = JSON.stringify(last, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
    throw new Error(`${this.name} did not get there; last seen: ${seen}`);
  }
}

async function stopApp(entry: {
  app: RegistryApp;
  server: RpcServer;
  close: () => void;
}): Promise<void> {
  entry.close();
  await Promise.all([entry.app.drain(), entry.server.drain(2000)]);
}

export const nextHop = (topology: GetTopologyResponse, to: string): string | undefined =>
  topology.routes.find(({ destination }) => destination === to)?.nextHop;
