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
  /** Told what the protocols listen on, before the site is joined. */
  readonly onListening?: (addresses: Readonly<Record<string, string>>) => void;
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
  /** Listens, refusing as Unavailable until interest, routes and rules are known, then serves. */
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  addresses(): Readonly<Record<string, string>>;
}

/** What the three paths share. */
type Base = ReturnType<typeof foundation>;

/**
 * The whole data plane, in the order of an event's path:
 * adapter → admit → resolve → append → follow → match → deliver → settle → cursor, and the link.
 */
export function createEmesherApp(options: EmesherOptions, deps: EmesherDeps): EmesherApp {
  const router = new Router();
  const draining = new AbortController();
  let started = false;
  const base = foundation(options, deps);
  const { direct, publisher } = publishPath(base, (record, to) => links.sendDirect(record, to));
  const { runners, cursors, admin, attachments } = deliverPath(base, direct);
  const { links, tracer } = linkPath(base, direct, router);
  const { ledger, directory, followers, logs, strength } = base;
  const { store, authorizer, registry, policies, log, metrics } = deps;

  const port = createMeshPort({
    site: options.site,
    eventBytesMax: options.dataPlane.event.bytesMax,
    draining: draining.signal,
    started: () => started,
    authorizer,
    publisher,
    attachments,
    subscriptions: admin,
    deadLetters: {} as never,
    replays: {} as never,
    inspect: createInspectPort({ directory, ledger, runners, logs, store, tracer }),
  });
  addGrpcAdapter(router, protocolPort(port, 'grpc', metrics));
  const http = protocolPort(port, 'http', metrics);
  const adapters: ProtocolAdapter[] =
    options.http === undefined ? [] : [createHttpAdapter(options.http, http, { log, metrics })];
  const telling = setInterval(() => {
    for (const runner of runners.all) ledger.tell(runner, runners.lag(runner));
  }, 1000);

  return {
    router,
    async start() {
      for (const adapter of adapters) await adapter.start();
      options.onListening?.(this.addresses());
      await strength.start();
      await Promise.all([registry.ready, policies.ready]);
      await logs.discover();
      started = true;
      links.start();
    },
    /** Stop accepting → settle in flight → flush cursors → links → close. */
    async drain(deadlineMs) {
      draining.abort();
      await Promise.all(adapters.map((adapter) => adapter.drain(deadlineMs)));
      await runners.stop(drainingError());
      await links.stop();
      clearInterval(telling);
      strength.stop();
      await cursors.close();
      followers.stop();
      directory.close();
    },
    addresses: () =>
      Object.fromEntries(adapters.flatMap((adapter) => Object.entries(adapter.addresses()))),
  };
}

function foundation(options: EmesherOptions, deps: EmesherDeps) {
  const { store, registry, policies, log, metrics } = deps;
  const logs = new Logs(store, options.dataPlane.log);
  return {
    options,
    deps,
    logs,
    directory: new Directory(registry, log),
    ledger: new Ledger(metrics, policies),
    journal: new Journal(options.site, options.dataPlane.trace.eventsMax),
    followers: new Followers(store, logs, log),
    strength: new StoreStrength(store, log),
  };
}

/** Adapter → admit → resolve → append → receipt; and the direct class, which skips the store. */
function publishPath(
  base: Base,
  forward: (record: Buffer, destinations: readonly string[]) => void,
) {
  const { options, deps, logs, directory, ledger, journal, strength } = base;
  const { site, dataPlane } = options;
  const { store, policies, tracing } = deps;
  const { bytesMax, attributesMax } = dataPlane.event;
  const direct = new DirectSwitch({
    site,
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    forward,
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
  const publisher = new Publisher({
    site,
    limits: () => ({ eventBytesMax: Math.min(bytesMax, strength.eventBytesMax), attributesMax }),
    durability: () => strength.durability,
    now: Date.now,
    resolver,
    policies,
    store,
    logs,
    direct,
    ledger,
    journal,
    tracing,
  });
  return { direct, publisher };
}

/** Follow → match → queue → authorise → deliver → settle → cursor commit. */
function deliverPath(base: Base, direct: DirectSwitch) {
  const { options, deps, logs, directory, ledger, journal, followers } = base;
  const { site, dataPlane } = options;
  const { store, authorizer, log, tracing } = deps;
  const { heldMax, heldBytesMax, cursorInterval } = dataPlane.delivery;
  const now = Date.now;
  const cursors = new Cursors(store, log, cursorInterval);
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
      heldMax,
      heldBytesMax,
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
  return { runners, cursors, admin, attachments };
}

/** Follow → link queue → next hop's emesher → its store → accept. */
function linkPath(base: Base, direct: DirectSwitch, router: Router) {
  const { options, deps, logs, directory, ledger, journal, followers } = base;
  const { site, member, dataPlane, linkToken } = options;
  const { store, log: logger, tracing } = deps;
  const clients = new Map(
    options.links.map((neighbour) => [neighbour.site, new LinkClient(neighbour, linkToken)]),
  );
  const routes = new RouteHistory(directory.nextHop);
  const links = new Links(
    clients,
    { site, member, logs, followers, ledger, journal, logger, routes },
    directory,
  );
  const tracer = new Tracer({ site, journal, store, logs, links: clients, logger });
  const receiver = {
    site,
    member,
    store,
    logs,
    direct,
    ledger,
    journal,
    tracing,
    logger,
    ...dataPlane.link,
    neighbours: new Set(clients.keys()),
    forwardDirect: (record: Buffer, to: readonly string[]) => links.sendDirect(record, to),
  };
  addLinkService(router, receiver, tracer, linkToken);
  return { links, tracer };
}

const drainingError = (): MeshError =>
  new MeshError('Unavailable', 'this emesher is draining; reconnect', {
    reason: 'DRAINING',
    retryAfterMs: 100,
  });
