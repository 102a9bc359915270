import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { addGrpcAdapter } from '@eventmesh/adapter-grpc';
import { createHttpAdapter } from '@eventmesh/adapter-http';
import { MeshError } from '@eventmesh/errors';
import { Router } from '@eventmesh/rpc';
import { auditRefusals } from './audit-refusals.ts';
import { measureQueues } from './inspect/queues.ts';
import { createMeshPort } from './mesh-port.ts';
import { siteReplays } from './peer/site-replays.ts';
import { protocolPort } from './protocol-port.ts';
import { makeRequests } from './request/make-requests.ts';
import { makeTimers } from './schedule/make-timers.ts';
import type { EmesherDeps, EmesherOptions } from './options.ts';
import { deliverPath } from './paths/deliver-path.ts';
import { foundation } from './paths/foundation.ts';
import { linkPath } from './paths/link-path.ts';
import { addPeers } from './paths/peer-path.ts';
import { publishPath } from './paths/publish-path.ts';

export interface EmesherApp {
  readonly router: Router;
  /** Listens, refusing as Unavailable until interest, routes and rules are known, then serves. */
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  addresses(): Readonly<Record<string, string>>;
}

/**
 * The whole data plane, in the order of an event's path:
 * adapter → admit → resolve → append → follow → match → deliver → settle → cursor, and the link.
 */
export function createEmesherApp(options: EmesherOptions, deps: EmesherDeps): EmesherApp {
  const router = new Router();
  const draining = new AbortController();
  let started = false;
  const paths = composePaths(options, deps, router);
  const { base, publishing, delivering, links, inspection, timers, scheduled } = paths;
  const { publisher } = publishing;
  const { runners, cursors, replays, dead } = delivering;
  const { ledger, directory, followers, logs, strength, peers, served } = base;
  const { authorizer, registry, policies, log, metrics } = deps;

  const bare = createMeshPort({
    site: options.site,
    eventBytesMax: options.dataPlane.event.bytesMax,
    draining: draining.signal,
    started: () => started,
    authorizer,
    publisher,
    attachments: delivering.attachments,
    subscriptions: delivering.admin,
    deadLetters: dead.port,
    replays,
    siteReplays: siteReplays({ replays, peers, logger: log }),
    requests: makeRequests({
      ...publishing,
      ...options,
      ledger,
      draining: draining.signal,
      config: options.dataPlane.request,
    }),
    scheduled,
    inspect: inspection.port,
  });
  const port = auditRefusals(bare, policies.audit);
  addGrpcAdapter(router, protocolPort(port, 'grpc', metrics, served), {
    ...options.dataPlane.publish,
    ...options.dataPlane.delivery,
    metrics,
  });
  const http = protocolPort(port, 'http', metrics, served);
  const adapters: ProtocolAdapter[] =
    options.http === undefined ? [] : [createHttpAdapter(options.http, http, { log, metrics })];
  const untell = metrics.beforeLook(() => {
    for (const runner of runners.all) runner.refresh();
    ledger.tellAll(runners.all, (runner) => runners.lag(runner));
  });

  return {
    router,
    async start() {
      for (const adapter of adapters) await adapter.start();
      options.onListening?.(this.addresses());
      await strength.start();
      await Promise.all([registry.ready, policies.ready]);
      await logs.discover();
      started = true;
      dead.gauges.start();
      await timers.start();
      links.start();
    },
    /** Stop accepting → settle in flight → flush cursors → links → close. */
    async drain(deadlineMs) {
      draining.abort();
      await Promise.all(adapters.map((adapter) => adapter.drain(deadlineMs)));
      await timers.stop();
      replays.stopAll(drainingError());
      await runners.stop(drainingError());
      peers.close();
      await links.stop();
      untell();
      await dead.gauges.stop();
      strength.stop();
      await cursors.close();
      followers.stop();
      directory.close();
    },
    addresses: () =>
      Object.fromEntries(adapters.flatMap((adapter) => Object.entries(adapter.addresses()))),
  };
}

/** The paths of events, what the emeshers of the site do for each other, and the timers. */
function composePaths(options: EmesherOptions, deps: EmesherDeps, router: Router) {
  const base = foundation(options, deps);
  // The publish path hands on to parts that are made from it.
  const publishing = publishPath(
    base,
    (...sent) => fanOut.forward(...sent),
    () => timers,
  );
  const { lanes, publisher } = publishing;
  const delivering = deliverPath(base, lanes);
  const linking = linkPath(base, lanes, router, delivering);
  const { links, fanOut, inspection } = linking;
  addPeers(base, { ...delivering, ...linking, lanes, timers: () => timers }, router);
  const { timers, scheduled } = makeTimers({
    ...base,
    ...deps,
    site: options.site,
    dataPlane: options.dataPlane,
    publisher,
    deadLetters: delivering.dead.letters,
  });
  const letters = delivering.dead.letters;
  measureQueues({ ...base, ...deps, ...delivering, lanes, fanOut, links, letters, timers });
  return { base, publishing, delivering, links, inspection, timers, scheduled };
}

const drainingError = (): MeshError =>
  new MeshError('Unavailable', 'this emesher is draining; reconnect', {
    reason: 'DRAINING',
    retryAfterMs: 100,
  });
