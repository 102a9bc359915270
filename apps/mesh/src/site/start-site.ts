import type { MeshPort } from '@eventmesh/adapter-api';
import { loadConfig } from '@eventmesh/config';
import { AdminServer, Readiness, logFailedCall, type Host } from '@eventmesh/lifecycle';
import { RpcServer, addStandardServices } from '@eventmesh/rpc';
import { Metrics, createLogger, createTracing } from '@eventmesh/telemetry';
import { composeSite } from './compose.ts';
import { siteConfig } from './config.ts';

export interface StartSiteOptions {
  readonly site: string;
  /** Folder of everything that is kept; a second start on it goes on from there. */
  readonly dir: string;
  /** Default 0: a free one, read it back from `addresses`. */
  readonly httpPort?: number;
  /** Default 0. Neighbours must know it beforehand: `planSites({ ports: 0 })` picks free ones. */
  readonly grpcPort?: number;
  readonly adminPort?: number;
  readonly neighbours?: readonly {
    readonly site: string;
    /** `host:port` of its gRPC server. */
    readonly address: string;
  }[];
  readonly linkToken?: string;
  /** Users and policies to begin with; see `loadIdentity`. */
  readonly bootstrapFile?: string;
  /** As in the configuration of an emesher. Default: all defaults. */
  readonly dataPlane?: Readonly<Record<string, unknown>>;
  /** Default `error`. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

/** A site that runs in this process. */
export interface RunningSite {
  readonly addresses: {
    /** Base URL of the HTTP API. */
    readonly http: string;
    /** `host:port`. */
    readonly grpc: string;
    /** Base URL of /metrics. */
    readonly admin: string;
  };
  readonly metrics: Metrics;
  /** The mesh as an adapter of this protocol sees it, for one that runs in this process. */
  portFor(protocol: string): MeshPort;
  /** Rejects when the site meets a fault that nothing can go on after. */
  readonly failed: Promise<never>;
  /** Drains within 10 s and closes everything. May be called once. */
  stop(): Promise<void>;
}

const DRAIN_MS = 10_000;

/** Starts a site in this process, for tests and the benchmark; `mesh dev` runs `main.ts`. */
export async function startSite(options: StartSiteOptions): Promise<RunningSite> {
  const { site, logLevel = 'error' } = options;
  const config = loadConfig(siteConfig, { value: configValue(options) });
  const failure = Promise.withResolvers<never>();
  // Whoever does not look at it finds the fault in the log.
  failure.promise.catch(() => undefined);
  const metrics = new Metrics();
  const host: Host = {
    log: createLogger({ level: logLevel, service: 'site', site }),
    metrics,
    tracing: await createTracing({ service: 'site', site, sampleRatio: 0, metrics }),
    readiness: new Readiness(),
    memberId: `${site}-${process.pid.toString(36)}${Date.now().toString(36)}`,
    fatal: failure.reject,
  };
  const started = host.readiness.latch('starting');
  const service = await composeSite(config, host);
  addStandardServices(service.router, () => host.readiness.ready);
  const admin = new AdminServer(config.admin, host.readiness, host.metrics);
  const server = new RpcServer(service.router, {
    host: config.grpc.host,
    port: config.grpc.port,
    connectionsMax: config.grpc.connectionsMax,
    unfinishedBytesMax: config.grpc.unfinishedBytesMax,
    streamsMax: config.grpc.streamsMax,
    firstMessageMs: config.grpc.firstMessage,
    log: host.log,
    metrics: host.metrics,
    onError: (path, error) => logFailedCall(host.log, path, error),
  });
  const stop = async () => {
    host.readiness.drain();
    await Promise.all([service.drain(DRAIN_MS), server.drain(DRAIN_MS)]);
    await admin.stop();
  };
  try {
    await admin.start();
    await service.start();
    await server.start();
    await service.announce?.(server.address);
  } catch (error) {
    await stop();
    throw error;
  }
  started();
  return {
    addresses: {
      http: `http://${service.addresses?.()['http'] ?? ''}`,
      grpc: server.address,
      admin: `http://127.0.0.1:${admin.port}`,
    },
    metrics: host.metrics,
    portFor: service.portFor,
    failed: failure.promise,
    stop,
  };
}

function configValue(options: StartSiteOptions): Record<string, unknown> {
  const { site, dir, httpPort = 0, grpcPort = 0, adminPort = 0, dataPlane = {} } = options;
  return {
    site,
    dir,
    http: { port: httpPort },
    grpc: { port: grpcPort },
    admin: { port: adminPort },
    neighbours: options.neighbours ?? [],
    dataPlane,
    ...(options.linkToken === undefined ? {} : { linkToken: { value: options.linkToken } }),
    ...(options.bootstrapFile === undefined ? {} : { bootstrapFile: options.bootstrapFile }),
  };
}
