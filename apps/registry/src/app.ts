import { randomUUID } from 'node:crypto';
import { MeshError } from '@eventmesh/errors';
import { prefixed, systemClock, type Clock, type Kv } from '@eventmesh/kv-api';
import { PeerService, RegistryService } from '@eventmesh/proto-gen/registry';
import { Router, type TlsFiles } from '@eventmesh/rpc';
import type { Logger, Metrics } from '@eventmesh/telemetry';
import { bearerGuard } from '@eventmesh/lifecycle';
import { pause } from '@eventmesh/time';
import { Acknowledger } from './acknowledger.ts';
import { Advertiser } from './advertiser.ts';
import { neighbourProblems, type RegistryOptions } from './config.ts';
import { Convergence } from './convergence.ts';
import { ownershipRoot, stateRoot } from './keys.ts';
import { LinkState } from './link-state.ts';
import { Members } from './members.ts';
import { REGISTRY_METRICS } from './metrics.ts';
import { Ownership } from './ownership.ts';
import type { Parts } from './parts.ts';
import { Peers, type Neighbour } from './peers.ts';
import { ReplicaLinks } from './replica-links.ts';
import { Routing } from './routing.ts';
import { registryService } from './service.ts';
import { RegistryState } from './state.ts';
import { Subscriptions } from './subscriptions.ts';
import { WatchHub } from './watch-hub.ts';

export interface RegistryDeps {
  /** The site's control state; stays the caller's to close, after `drain`. */
  readonly kv: Kv;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
}

export interface RegistryApp {
  /** RegistryService and PeerService. */
  readonly router: Router;
  /** Resolves when the control state is loaded; then starts to call the neighbours. */
  start(): Promise<void>;
  /**
   * Ends watches and exchanges and tells this replica's links down, in at most `deadlineMs`
   * (default 5,000). May be called once.
   */
  drain(deadlineMs?: number): Promise<void>;
}

const DRAIN_MS = 5000;

/** Composes a registry. Several of them may work on one `kv`: all that they share is in it. */
export function createRegistryApp(config: RegistryOptions, deps: RegistryDeps): RegistryApp {
  const { site, subscriptionsMax: countMax } = config;
  const { log, clock = systemClock } = deps;
  const metrics = deps.metrics.use(REGISTRY_METRICS);
  const kv = prefixed(deps.kv, stateRoot(site));
  const onError = (error: MeshError, at?: string) => {
    metrics.storeErrors.inc();
    log.warn({ err: error, ...(at === undefined ? {} : { key: at }) }, 'the control state failed');
  };
  const state = new RegistryState(kv, { clock, onError });
  const measure: Metrics['measure'] = (queue, fill) => deps.metrics.measure(queue, fill);
  const parts: Parts = { site, kv, state, clock, log, metrics, measure };

  const neighbours = checkNeighbours(config);
  const names = neighbours.map((neighbour) => neighbour.site);
  const routing = new Routing(parts);
  const hub = new WatchHub(parts, routing, config.watch.historyMax);
  const members = new Members(parts);
  const advertiser = new Advertiser(parts, config.interest.linger, onError);
  const subscriptions = new Subscriptions(parts, members, advertiser, { countMax, onError });
  const ownership = new Ownership(parts, prefixed(deps.kv, ownershipRoot(site)), members, onError);
  const acknowledger = new Acknowledger(parts, onError);
  const linkState = new LinkState(parts, advertiser, config.exchange.sitesMax, onError);
  const costs = new Map(neighbours.map((neighbour) => [neighbour.site, neighbour.cost]));
  const links = new ReplicaLinks(parts, randomUUID(), costs, onError);
  const peers = new Peers(parts, linkState, links, {
    neighbours,
    linkToken: config.linkToken,
    pingMs: config.exchange.ping,
    deadAfterMs: config.exchange.deadAfter,
    queueMax: config.exchange.queueMax,
    reconnectMaxMs: config.exchange.reconnectMax,
  });
  const convergence = new Convergence(parts, advertiser, routing, names);

  const router = new Router().service(
    RegistryService,
    registryService({
      parts,
      members,
      subscriptions,
      ownership,
      routing,
      convergence,
      peers,
      hub,
    }),
    bearerGuard(config.serviceToken),
  );
  // Without a token of its own a site has no neighbours: the service is not there at all.
  if (config.linkToken !== undefined) {
    router.service(PeerService, peers.service, bearerGuard(config.linkToken));
  }

  return {
    router,
    async start() {
      await state.ready;
      advertiser.start();
      peers.start();
      ownership.start();
    },
    async drain(deadlineMs = DRAIN_MS) {
      hub.close();
      convergence.close();
      routing.close();
      const stopping = (async () => {
        await peers.close();
        await Promise.all(
          [linkState, acknowledger, advertiser, ownership, subscriptions].map((one) => one.close()),
        );
        await links.close();
      })();
      // The store may be away: what is not written then is derived anew at the next start, and the
      // lease of this replica ends by itself.
      const late = new AbortController();
      await Promise.race([
        stopping.catch((error: unknown) => onError(MeshError.from(error))),
        pause(deadlineMs, late.signal, clock),
      ]);
      late.abort();
      await state.close();
    },
  };
}

function checkNeighbours(config: RegistryOptions): Neighbour[] {
  const [problem] = neighbourProblems(config);
  if (problem !== undefined) {
    throw new MeshError('InvalidArgument', problem, { field: 'neighbours' });
  }
  return config.neighbours.map(({ tls, ...neighbour }) => ({
    ...neighbour,
    tls: tls === undefined ? undefined : files(tls),
  }));
}

const files = (tls: NonNullable<RegistryOptions['neighbours'][number]['tls']>): TlsFiles =>
  Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== undefined));
