import type { ProtocolAdapter } from '@eventmesh/adapter-api';
import { addGrpcAdapter } from '@eventmesh/adapter-grpc';
import { createHttpAdapter, type HttpAdapterOptions } from '@eventmesh/adapter-http';
import type { Authorizer, GovernanceView, RegistryView } from '@eventmesh/clients';
import type { Secret } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { Router } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger, Metrics, Tracing } from '@eventmesh/telemetry';
import { auditRefusals } from './audit-refusals.ts';
import { nowUs } from './clock.ts';
import type { DataPlaneConfig } from './config.ts';
import { StoreStrength } from './control/store-strength.ts';
import { Directory } from './control/directory.ts';
import { Takeovers } from './control/takeovers.ts';
import { createDeadParts } from './dead/index.ts';
import { Attachments } from './deliver/attachments.ts';
import { Cursors } from './deliver/cursors.ts';
import { DirectGroups } from './deliver/direct-groups.ts';
import { ownerSession, peerSession } from './deliver/owner-session.ts';
import { Runners } from './deliver/runners.ts';
import { SubscriptionAdmin } from './deliver/subscription-admin.ts';
import { Followers } from './follow/followers.ts';
import { createInspection } from './inspect/inspection.ts';
import { Journal } from './inspect/journal.ts';
import { Ledger } from './inspect/ledger.ts';
import { deliveryObserver } from './inspect/observer.ts';
import { measureQueues } from './inspect/queues.ts';
import { Refusals } from './inspect/refusals.ts';
import { ServedBy } from './inspect/served-by.ts';
import { LinkClient, type Neighbour } from './link/link-client.ts';
import { addLinkService } from './link/link-service.ts';
import { Links } from './link/links.ts';
import type { ReceiverDeps } from './link/receiver.ts';
import { RouteHistory } from './link/route-history.ts';
import { Logs } from './logs.ts';
import { emesherQueues } from './metrics.ts';
import { createMeshPort } from './mesh-port.ts';
import { DirectFanOut } from './peer/direct-fan-out.ts';
import { addPeerService } from './peer/peer-service.ts';
import type { PeerTls } from './peer/peer-tls.ts';
import { OwnerCalls, TAKEOVER_LAG_MS } from './peer/owner-calls.ts';
import { Peers } from './peer/peers.ts';
import type { RelayOptions } from './peer/relay.ts';
import { SiteBooks } from './peer/site-books.ts';
import { SiteChanges } from './peer/site-changes.ts';
import { sitePause } from './peer/site-pause.ts';
import { siteReplays } from './peer/site-replays.ts';
import { protocolPort } from './protocol-port.ts';
import { DirectSwitch, type DirectDeps } from './publish/direct.ts';
import { Publisher } from './publish/publisher.ts';
import { Resolver } from './publish/resolve.ts';
import { makeReplays } from './replay/make-replays.ts';
import { makeInboxes, makeRequests } from './request/make-requests.ts';
import { makeTimers } from './schedule/make-timers.ts';
import type { Timers } from './schedule/timers.ts';

export interface EmesherOptions {
  readonly site: string;
  readonly member: string;
  /** Undefined: HTTP is not served. */
  readonly http: HttpAdapterOptions | undefined;
  readonly links: readonly Neighbour[];
  readonly linkToken: Secret | undefined;
  /** Shown to and asked of the other emeshers of the site; without it none of them is called. */
  readonly serviceToken: Secret | undefined;
  /** How the other emeshers of the site are called; undefined: without TLS. */
  readonly peerTls?: PeerTls | undefined;
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
  const telling = setInterval(() => {
    ledger.tellAll(runners.all, (runner) => runners.lag(runner));
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
      clearInterval(telling);
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

/** The three paths, what the emeshers of the site do for each other, and the timers. */
function composePaths(options: EmesherOptions, deps: EmesherDeps, router: Router) {
  const base = foundation(options, deps);
  // The publish path hands on to parts that are made from it.
  const publishing = publishPath(
    base,
    (...sent) => fanOut.forward(...sent),
    () => timers,
  );
  const { direct, publisher } = publishing;
  const delivering = deliverPath(base, direct);
  const { links, fanOut, inspection } = linkPath(base, direct, router, delivering);
  addPeers(base, { ...delivering, direct, links }, router);
  const { timers, scheduled } = makeTimers({
    ...base,
    ...deps,
    site: options.site,
    dataPlane: options.dataPlane,
    publisher,
    deadLetters: delivering.dead.letters,
  });
  const letters = delivering.dead.letters;
  measureQueues({ ...base, ...deps, ...delivering, direct, fanOut, links, letters, timers });
  return { base, publishing, delivering, links, inspection, timers, scheduled };
}

function foundation(options: EmesherOptions, deps: EmesherDeps) {
  const { store, registry, policies, log, metrics } = deps;
  const logs = new Logs(store, options.dataPlane.log);
  const directory = new Directory(registry, log, options.member);
  const served = new ServedBy();
  const refusals = new Refusals(options.dataPlane.trace.refusalsMax, nowUs);
  const peers = new Peers(directory, options.serviceToken, options.peerTls);
  const ledger = new Ledger({ metrics, policies, served, refusals, now: Date.now });
  const { ttl } = options.dataPlane.lease;
  ledger.metrics.leaseTtl.set(ttl / 1000);
  void new Takeovers(directory, ledger.metrics, () => performance.now());
  return {
    options,
    deps,
    logs,
    directory,
    peers,
    owners: new OwnerCalls({ peers, pause: sitePause(directory), waitMs: ttl + TAKEOVER_LAG_MS }),
    leaseMs: ttl,
    served,
    refusals,
    ledger,
    journal: new Journal(options.site, options.dataPlane.trace.eventsMax),
    followers: new Followers(store, logs, log, options.dataPlane.delivery.readAheadBytes),
    strength: new StoreStrength(store, log),
  };
}

/** Adapter → admit → resolve → append → receipt; and the direct class, which skips the store. */
function publishPath(base: Base, forward: DirectDeps['forward'], timers: () => Timers) {
  const { options, deps, logs, directory, ledger, journal, strength } = base;
  const { site, dataPlane } = options;
  const { store, policies, tracing } = deps;
  const { bytesMax, attributesMax } = dataPlane.event;
  const inboxes = makeInboxes({
    site,
    member: options.member,
    ledger,
    isSister: (member) => directory.sisters.some(({ id }) => id === member),
  });
  const limits = () => ({
    eventBytesMax: Math.min(bytesMax, strength.eventBytesMax),
    attributesMax,
  });
  const direct = new DirectSwitch({
    site,
    ledger,
    queueMax: dataPlane.delivery.directQueueMax,
    inboxes,
    forward,
  });
  const resolver = new Resolver({
    site,
    routingVersion: () => directory.version,
    policyRevision: () => policies.revision,
    destinations: (tenant, topic, kind) => directory.destinations(tenant, topic, kind),
    reachable: (to) => directory.nextHop(to) !== undefined,
    localInterest: (tenant, topic, kind) => directory.wanted(tenant, topic, kind),
    topicPolicy: (tenant, topic) => policies.topicPolicy(tenant, topic),
    topicCount: (tenant, topic) => ledger.topic(tenant, topic),
  });
  const publisher = new Publisher({
    site,
    limits,
    durability: () => strength.durability,
    now: Date.now,
    resolver,
    policies,
    store,
    logs,
    timers,
    direct,
    ledger,
    journal,
    tracing,
  });
  return { direct, publisher, inboxes, resolver, limits };
}

/** Follow → match → queue → authorise → deliver → settle → cursor commit. */
function deliverPath(base: Base, direct: DirectSwitch) {
  const { options, deps, logs, directory, ledger, journal, followers } = base;
  const { site, dataPlane } = options;
  const { store, authorizer, policies, log, tracing } = deps;
  const { heldMax, heldBytesMax, parkedKeysMax, cursorBytesMax, readAheadBytes, cursorInterval } =
    dataPlane.delivery;
  const now = Date.now;
  const cursors = new Cursors(store, log, cursorInterval);
  const dead = createDeadParts({
    ...base,
    site,
    store,
    policies,
    authorizer,
    now,
    logger: log,
    config: dataPlane.deadLetters,
  });
  const runners = new Runners({
    store,
    logs,
    directory,
    followers,
    cursors,
    ownerSession: ownerSession(authorizer),
    onGone: (runner) => ledger.tellLast(runner),
    runner: {
      now,
      random: Math.random,
      heldMax,
      heldBytesMax,
      parkedKeysMax,
      cursorBytesMax,
      readAheadBytes,
      store,
      logName: (tenant) => logs.name(tenant),
      logger: log,
      deadLetters: dead.letters,
      ...deliveryObserver({ site, journal, ledger, tracing }),
    },
  });
  const parts = { ...base, runners, store, logger: log };
  const groups = new DirectGroups(directory, direct);
  const changes = new SiteChanges({ ...parts, groups });
  const books = new SiteBooks({ ...parts, member: options.member });
  const { broadcastConsumersMax, relayRequestsMax } = dataPlane.delivery;
  const admin = new SubscriptionAdmin({
    ...parts,
    site,
    changes,
    books,
    now,
    policies,
    broadcastConsumersMax,
  });
  const relays: RelayOptions = {
    requestsMax: relayRequestsMax,
    measure: (waiting) => deps.metrics.measure(emesherQueues.relayRequests, waiting),
  };
  const attachments = new Attachments({ ...parts, groups, admin, relays });
  const replays = makeReplays({
    store,
    logs,
    admin,
    ledger,
    journal,
    logger: log,
    config: dataPlane.replay,
  });
  directory.listen({
    deleted(tenant, name) {
      replays.endOf(tenant, name, new MeshError('NotFound', `subscription "${name}" was deleted`));
    },
  });
  return { runners, cursors, changes, books, admin, attachments, replays, dead };
}

/** Follow → link queue → next hop's emesher → its store → accept. */
function linkPath(
  base: Base,
  direct: DirectSwitch,
  router: Router,
  { runners, books }: Pick<ReturnType<typeof deliverPath>, 'runners' | 'books'>,
) {
  const { options, deps, logs, directory, peers, ledger, journal, followers } = base;
  const { site, member, dataPlane, linkToken } = options;
  const { store, log: logger, tracing } = deps;
  const clients = new Map(
    options.links.map((neighbour) => [neighbour.site, new LinkClient(neighbour, linkToken)]),
  );
  const routes = new RouteHistory(directory.nextHop);
  const links = new Links(
    clients,
    {
      site,
      member,
      store,
      logs,
      followers,
      ledger,
      journal,
      logger,
      routes,
      directQueueMax: dataPlane.link.directQueueMax,
      progressInterval: dataPlane.link.progressInterval,
      now: Date.now,
    },
    directory,
  );
  const fanOut = new DirectFanOut({
    directory,
    peers,
    ledger,
    logger,
    queueMax: dataPlane.delivery.directFanOutMax,
    sendOverLinks: (record, to) => links.sendDirect(record, to),
  });
  const inspection = createInspection({
    ...base,
    site,
    store,
    runners,
    books,
    logger,
    links: clients,
    now: Date.now,
    policies: deps.policies,
    scanMax: dataPlane.trace.scanMax,
    ownerSession: ownerSession(deps.authorizer),
    linkPlace: (...place) => links.place(...place),
  });
  const receiver: ReceiverDeps = {
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
    forwardDirect: fanOut.forward.bind(fanOut),
    measure(window, answers) {
      const stops = [
        deps.metrics.measure(emesherQueues.linkUnstoredBytes, () => window.bytes),
        deps.metrics.measure(emesherQueues.linkAnswers, answers),
      ];
      return () => stops.forEach((stop) => stop());
    },
  };
  addLinkService(router, receiver, inspection, linkToken);
  return { links, fanOut, inspection };
}

/** What this emesher does for the others of its site. */
function addPeers(
  { options, deps, directory }: Base,
  parts: ReturnType<typeof deliverPath> & { readonly direct: DirectSwitch; readonly links: Links },
  router: Router,
): void {
  const served = {
    ...parts,
    directory,
    sessionOf: peerSession(deps.authorizer),
    consumerLimits: { ...options.dataPlane.delivery, metrics: deps.metrics },
    attachHere: parts.attachments.attachHere,
    sendOverLinks: (record: Buffer, to: readonly string[]) => parts.links.sendDirect(record, to),
  };
  addPeerService(router, served, options.serviceToken);
}

const drainingError = (): MeshError =>
  new MeshError('Unavailable', 'this emesher is draining; reconnect', {
    reason: 'DRAINING',
    retryAfterMs: 100,
  });
