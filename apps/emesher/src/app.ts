import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { addGrpcAdapter } from '@eventmesh/adapter-grpc';
import { createHttpAdapter, type HttpAdapterOptions } from '@eventmesh/adapter-http';
import type { Authorizer, GovernanceView, RegistryView } from '@eventmesh/clients';
import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { Router } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger, Metrics, Tracing } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from './config.ts';
import { StoreStrength } from './control/store-strength.ts';
import { Directory } from './control/directory.ts';
import { Attachments } from './deliver/attachments.ts';
import { Cursors } from './deliver/cursors.ts';
import { DeadLetters } from './deliver/dead-letters.ts';
import { ownerSession } from './deliver/owner-session.ts';
import { Runners } from './deliver/runners.ts';
import { SubscriptionAdmin } from './deliver/subscription-admin.ts';
import { Followers } from './follow/followers.ts';
import { createInspectPort } from './inspect/inspect-port.ts';
import { Journal } from './inspect/journal.ts';
import { Ledger } from './inspect/ledger.ts';
import { deliveryObserver } from './inspect/observer.ts';
import { Tracer } from './inspect/tracer.ts';
import { LinkClient, type Neighbour } from './link/link-client.ts';
import { addLinkService } from './link/link-service.ts';
import { Links } from './link/links.ts';
import { RouteHistory } from './link/route-history.ts';
import { Logs } from './logs.ts';
import { createMeshPort } from './mesh-port.ts';
import { protocolPort } from './protocol-port.ts';
import { DirectSwitch } from './publish/direct.ts';
import { Publisher } from './publish/publisher.ts';
import { Resolver } from './publish/resolve.ts';

export interface EmesherOptions {
  readonly site: string;
  readonly member: string;
  /** Undefined: HTTP is not served. */
  readonly http: HttpAdapterOptions | undefined;
  readonly links: readonly Neighbour[];
  readonly linkToken: Secret | undefined;
  readonly dataPlane: DataPlaneConfig;
}

/** The other services, in this process or over gRPC: the emesher cannot tell. */
export interface EmesherDeps {
  readonly store: EventStore;
  readonly registry: RegistryView;
  readonly authorizer: Authorizer;
  readonly policies: GovernanceView;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}

export interface EmesherApp {
  readonly router: Router;
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  addresses(): Readonly<Record<string, string>>;
}

/**
 * The whole data plane, in the order of an event's path:
 * adapter → admit → resolve → append → follow → match → deliver → settle → cursor, and the link.
 */
export function createEmesherApp(options: EmesherOptions, deps: EmesherDeps): EmesherApp {
  const { site, member, dataPlane } = options;
  const { store, registry, authorizer, policies, log, metrics, tracing } = deps;
  const router = new Router();
  const draining = new AbortController();
  const now = Date.now;

  const directory = new Directory(registry, log);
  const ledger = new Ledger(metrics, policies);
  const journal = new Journal(site, dataPlane.trace.eventsMax);
  const logs = new Logs(store, dataPlane.log);
  const followers = new Followers(store, logs, log);
  const strength = new StoreStrength(store, log);

  // Publish: adapter → admit → resolve → append → receipt.
  const direct = new DirectSwitch({
    site,
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    forward: (record, destinations) => links.sendDirect(record, destinations),
  });
  const resolver = new Resolver({
    site,
    routingVersion: () => directory.version,
    policyRevision: () => policies.revision,
    destinations: (tenant, topic, kind) => directory.destinations(tenant, topic, kind),
    localInterest: (tenant, topic) => directory.wanted(tenant, topic),
    topicPolicy: (tenant, topic) => policies.topicPolicy(tenant, topic),
    topicCount: (tenant, topic) => ledger.topic(tenant, topic),
  });
  const { bytesMax, attributesMax } = dataPlane.event;
  const limits = () => ({
    eventBytesMax: Math.min(bytesMax, strength.eventBytesMax),
    attributesMax,
  });
  const publisher = new Publisher({
    site,
    limits,
    resolver,
    policies,
    durability: () => strength.durability,
    now,
    store,
    logs,
    direct,
    ledger,
    journal,
    tracing,
  });

  // Deliver: follow → match → queue → authorise → deliver → settle → cursor commit.
  const cursors = new Cursors(store, log, dataPlane.delivery.cursorInterval);
  const runners = new Runners({
    store,
    logs,
    directory,
    followers,
    cursors,
    ownerSession: ownerSession(authorizer),
    runner: {
      now,
      random: Math.random,
      heldMax: dataPlane.delivery.heldMax,
      heldBytesMax: dataPlane.delivery.heldBytesMax,
      logName: (tenant) => logs.name(tenant),
      logger: log,
      deadLetters: new DeadLetters(store, site, now),
      ...deliveryObserver({ site, journal, ledger, tracing }),
    },
  });
  const admin = new SubscriptionAdmin({ site, directory, runners, logs, store, now });
  const attachments = new Attachments({ directory, runners, admin, direct });
  directory.onDeleted((tenant, name) => {
    const reason = new MeshError('NotFound', `subscription "${name}" was deleted`);
    void runners.end(tenant, name, reason);
  });

  // Between sites: follow → link queue → next hop's emesher → its store → accept.
  const clients = new Map(
    options.links.map((neighbour) => [
      neighbour.site,
      new LinkClient(neighbour, options.linkToken),
    ]),
  );
  const routes = new RouteHistory(directory.nextHop);
  const links = new Links(
    clients,
    { site, member, logs, followers, ledger, journal, logger: log, routes },
    directory,
  );
  const tracer = new Tracer({ site, journal, store, logs, links: clients, logger: log });
  addLinkService(
    router,
    {
      site,
      member,
      store,
      logs,
      direct,
      ledger,
      journal,
      tracing,
      logger: log,
      windowBytes: dataPlane.link.windowBytes,
      hopsMax: dataPlane.link.hopsMax,
      neighbours: new Set(clients.keys()),
      forwardDirect: (record, destinations) => links.sendDirect(record, destinations),
    },
    tracer,
    options.linkToken,
  );

  // Protocols.
  const port = createMeshPort({
    site,
    eventBytesMax: bytesMax,
    draining: draining.signal,
    authorizer,
    publisher,
    attachments,
    subscriptions: admin,
    inspect: createInspectPort({ directory, ledger, runners, logs, store, tracer }),
  });
  addGrpcAdapter(router, protocolPort(port, 'grpc', metrics));
  const adapters: ProtocolAdapter[] =
    options.http === undefined
      ? []
      : [createHttpAdapter(options.http, protocolPort(port, 'http', metrics), { log, metrics })];
  const telling = setInterval(() => {
    for (const runner of runners.all) ledger.tell(runner, runners.lag(runner));
  }, 1000);

  return {
    router,
    async start() {
      await strength.start();
      await Promise.all([registry.ready, policies.ready]);
      await logs.discover();
      links.start();
      for (const adapter of adapters) await adapter.start();
    },
    /** Stop accepting → settle in flight → flush cursors → links → close. */
    async drain(deadlineMs) {
      draining.abort();
      await Promise.all(adapters.map((adapter) => adapter.drain(deadlineMs)));
      const reason = new MeshError('Unavailable', 'this emesher is draining; reconnect', {
        reason: 'DRAINING',
        retryAfterMs: 100,
      });
      await runners.stop(reason);
      await links.stop();
      clearInterval(telling);
      strength.stop();
      await cursors.close();
      followers.stop();
      directory.close();
    },
    addresses: () => Object.assign({}, ...adapters.map((adapter) => adapter.addresses())),
  };
}
