import { parseArgs } from 'node:util';
import { ConfigError, environment, loadConfig, type ConfigOf, type Entry } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { RpcServer, addStandardServices, type Router } from '@eventmesh/rpc';
import {
  Metrics,
  createLogger,
  createTracing,
  type Logger,
  type Tracing,
} from '@eventmesh/telemetry';
import { callMetrics } from './metrics.ts';
import { AdminServer } from './admin-server.ts';
import { Readiness } from './readiness.ts';
import type { ServiceConfig } from './service-config.ts';

/** What a service is given to work with. */
export interface Host {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly readiness: Readiness;
  /** `memberId` of the configuration, or a generated one. */
  readonly memberId: string;
  /** Ends the process in order, with exit code 1. For faults that nothing can go on after. */
  readonly fatal: (error: unknown) => void;
}

/** A service, composed but not started. */
export interface Service {
  /** All its gRPC services. */
  readonly router: Router;
  /** Before the gRPC server listens. */
  start(): Promise<void>;
  /** After the gRPC server listens, with the address that others reach it under. */
  announce?(grpcAddress: string): Promise<void>;
  /** Further addresses for the log line, such as `{ http: '127.0.0.1:8080' }`. */
  addresses?(): Readonly<Record<string, string>>;
  /** Stop accepting, settle what is in flight, flush, close; within the deadline in ms. */
  drain(deadlineMs: number): Promise<void>;
}

export interface ServiceDefinition<E extends Entry<ServiceConfig>> {
  readonly name: string;
  readonly config: E;
  readonly create: (config: ConfigOf<E>, host: Host) => Promise<Service>;
}

/** Bytes of the slabs that small buffers are cut from: Node's 8 KiB hold six events of 1 KiB. */
const BUFFER_POOL_BYTES = 64 * 1024;

/** Bad usage or configuration (sysexits EX_USAGE). */
export const EXIT_CONFIG = 64;

const HELP = (name: string) => `${name}: a service of EventMesh

usage: ${name} --config FILE [--set key.path=value ...] [--check-config]

  --config FILE      YAML or JSON; see docs/reference/configuration.md
  --set KEY=VALUE    one setting, over file and environment; repeatable
  --check-config     validate, print every problem and stop
  --help             this text

Environment: EVENTMESH_GRPC__PORT=9090 sets grpc.port.
Exit codes: 0 stopped in order, 1 failed, 64 bad configuration.
`;

/**
 * The story of every service: configuration (bad: print every problem, exit 64, nothing bound) →
 * telemetry → compose → start → listen → announce → ready → wait → drain → exit.
 */
export async function runService<E extends Entry<ServiceConfig>>(
  definition: ServiceDefinition<E>,
): Promise<never> {
  Buffer.poolSize = BUFFER_POOL_BYTES;
  const config = readConfig(definition) as ConfigOf<E> & ServiceConfig;
  const host = await createHost(definition.name, config);
  const stop = stopSignal(host);
  // Whatever the service is at then, the process ends by the deadline.
  void stop.then(() => endLate(host.host.log, config.drain.deadline));
  const started = host.host.readiness.latch('starting');
  const admin = new AdminServer(config.admin, host.host.readiness, host.host.metrics);
  try {
    const service = await definition.create(config, host.host);
    service.router.use(callMetrics(host.host.metrics));
    addStandardServices(service.router, () => host.host.readiness.ready);
    await admin.start();
    // What it needs may be away, and a start may take for ever: it can be stopped meanwhile.
    const early = await Promise.race([service.start().then(() => undefined), stop]);
    if (early !== undefined) {
      host.host.log.info({ reason: early.text }, 'stopped while starting');
      await service.drain(config.drain.deadline);
      process.exit(early.code);
    }
    const server = new RpcServer(service.router, {
      host: config.grpc.host,
      port: config.grpc.port,
      connectionsMax: config.grpc.connectionsMax,
      unfinishedBytesMax: config.grpc.unfinishedBytesMax,
      streamsMax: config.grpc.streamsMax,
      firstMessageMs: config.grpc.firstMessage,
      ...(config.grpc.tls === undefined ? {} : { tls: tlsFiles(config.grpc.tls) }),
      log: host.host.log,
      metrics: host.host.metrics,
      onError: (path, error) => logFailedCall(host.host.log, path, error),
    });
    await server.start();
    const grpc = config.grpc.advertise ?? server.address;
    await service.announce?.(grpc);
    started();
    const addresses = {
      grpc,
      admin: `${config.admin.host}:${admin.port}`,
      ...service.addresses?.(),
    };
    host.host.log.info({ addresses, memberId: host.host.memberId }, 'ready');
    const reason = await stop;
    host.host.readiness.drain();
    host.host.log.info({ reason: reason.text }, 'draining');
    const end = Date.now() + config.drain.deadline;
    const left = () => Math.max(100, end - Date.now());
    await Promise.all([service.drain(left()), server.drain(left())]);
    await admin.stop();
    await host.host.tracing.close();
    host.host.log.info({}, 'stopped');
    process.exit(reason.code);
  } catch (error) {
    host.host.log.fatal({ err: error }, 'the service failed');
    process.exit(1);
  }
}

function endLate(log: Logger, deadlineMs: number): void {
  const late = setTimeout(() => {
    log.error({}, 'the drain deadline has passed');
    process.exit(1);
  }, deadlineMs + 1000);
  late.unref();
}

function readConfig<E extends Entry<unknown>>(definition: {
  readonly name: string;
  readonly config: E;
}): ConfigOf<E> {
  try {
    const { values } = parseArgs({
      options: {
        config: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        'check-config': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP(definition.name));
      process.exit(0);
    }
    const config = loadConfig(definition.config, {
      ...(values.config === undefined ? {} : { file: values.config }),
      env: environment(),
      set: values.set,
    });
    if (values['check-config']) {
      process.stdout.write('the configuration is valid\n');
      process.exit(0);
    }
    return config;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const hint = error instanceof ConfigError ? '' : `; try ${definition.name} --help`;
    process.stderr.write(`${definition.name}: ${text}${hint}\n`);
    process.exit(EXIT_CONFIG);
  }
}

interface Stop {
  readonly code: 0 | 1;
  readonly text: string;
}

async function createHost(name: string, config: ServiceConfig) {
  let fail: (stop: Stop) => void = () => undefined;
  const failed = new Promise<Stop>((resolve) => {
    fail = resolve;
  });
  const memberId =
    config.memberId ?? `${name}-${process.pid.toString(36)}${Date.now().toString(36)}`;
  const log = createLogger({ level: config.log.level, service: name, site: config.site });
  const metrics = new Metrics();
  metrics.collectProcess();
  const host: Host = {
    log,
    metrics,
    tracing: await createTracing({
      service: name,
      site: config.site,
      otlpUrl: config.tracing.otlpUrl,
      sampleRatio: config.tracing.samplePercent / 100,
      spansMax: config.tracing.spansMax,
      metrics,
    }),
    readiness: new Readiness(),
    memberId,
    fatal: (error) => {
      log.fatal({ err: error }, 'a fault that nothing can go on after');
      fail({ code: 1, text: MeshError.from(error).message });
    },
  };
  return { host, failed };
}

function stopSignal({ host, failed }: { host: Host; failed: Promise<Stop> }): Promise<Stop> {
  const signalled = new Promise<Stop>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => resolve({ code: 0, text: signal }));
    }
  });
  // Going on after an unknown fault could acknowledge what was lost: stop in order and restart.
  process.on('uncaughtException', (error) => host.fatal(error));
  process.on('unhandledRejection', (error) => host.fatal(error));
  return Promise.race([signalled, failed]);
}

/** Expected refusals are the caller's business; only our own faults are worth a line. */
export function logFailedCall(log: Logger, path: string, error: MeshError): void {
  if (error.code === 'Internal' || error.code === 'DataLoss') {
    log.error({ path, err: error.cause ?? error }, 'a call failed');
  } else {
    log.debug({ path, code: error.code, reason: error.reason }, error.message);
  }
}

type Set<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** A TLS section without the keys that are not set. */
export function tlsFiles<T extends object>(tls: T): Set<T> {
  return Object.fromEntries(
    Object.entries(tls).filter(([, value]) => value !== undefined),
  ) as Set<T>;
}
