import { drainingError, type MeshPort } from '@eventmesh/adapter-api';
import { Router } from '@eventmesh/rpc';
import type { EmesherDeps, EmesherOptions } from './options.ts';
import { addAdapters } from './paths/adapters.ts';
import { deadPath } from './paths/dead-path.ts';
import { deliverPath } from './paths/deliver-path.ts';
import { directPath } from './paths/direct-path.ts';
import { foundation, type Base } from './paths/foundation.ts';
import { inspectPath } from './paths/inspect-path.ts';
import { linkPath } from './paths/link-path.ts';
import { measurePath } from './paths/measure-path.ts';
import { peerPath } from './paths/peer-path.ts';
import { portPath } from './paths/port-path.ts';
import { publishPath } from './paths/publish-path.ts';
import { receivePath } from './paths/receive-path.ts';
import { replayPath } from './paths/replay-path.ts';
import { schedulePath } from './paths/schedule-path.ts';
import { subscriptionPath } from './paths/subscription-path.ts';

export interface EmesherApp {
  readonly router: Router;
  /** Listens, refusing as Unavailable until interest, routes and rules are known, then serves. */
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  addresses(): Readonly<Record<string, string>>;
  /** The mesh as an adapter of this protocol sees it; what it accepts is counted under the name. */
  portFor(protocol: string): MeshPort;
}

/** The whole data plane, and when its parts begin and end. */
export function createEmesherApp(options: EmesherOptions, deps: EmesherDeps): EmesherApp {
  const router = new Router();
  const draining = new AbortController();
  let started = false;
  const base = foundation(options, deps);
  const serving = { started: () => started, draining: draining.signal };
  const paths = composePaths(base, router, serving);
  const { portFor, adapters, runners, cursors, dead, replays, links, timers, untell } = paths;
  const { directory, peers, logs, strength, followers } = base;
  const { registry, policies } = deps;

  return {
    router,
    portFor,
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

interface Serving {
  /** Whether interest, routes and rules are known. */
  readonly started: () => boolean;
  readonly draining: AbortSignal;
}

/**
 * The paths of events in the order in which an event takes them, and what looks at them:
 * admit → resolve → append → follow → match → deliver → settle → cursor, the links, and the adapters,
 * which are made last, since they hand over to all of it. Each is given what it needs of the others.
 */
function composePaths(base: Base, router: Router, { started, draining }: Serving) {
  const { lanes, inboxes } = directPath(base);
  const { publisher, requests } = publishPath(base, {
    lanes,
    inboxes,
    // It hands on to what is made from it, further down.
    forward: (...sent) => fanOut.forward(...sent),
    timers: () => timers,
    draining,
  });
  const dead = deadPath(base);
  const { letters } = dead;
  const { runners, cursors } = deliverPath(base, { letters });
  const { admin, attachments, changes, books } = subscriptionPath(base, { runners, lanes });
  const replays = replayPath(base, { admin });

  const { links, fanOut } = linkPath(base);
  const { inspection, localMemory, localBooks } = inspectPath(base, { runners, books, links });
  receivePath(base, router, { lanes, links, fanOut, inspection });

  const { timers, scheduled } = schedulePath(base, { publisher, letters });

  peerPath(base, router, {
    lanes,
    links,
    attachments,
    changes,
    books,
    dead,
    replays,
    timers,
    localMemory,
    localBooks,
  });
  const untell = measurePath(base, { runners, lanes, fanOut, links, letters, timers, replays });

  const portFor = portPath(base, {
    publisher,
    requests,
    attachments,
    admin,
    dead,
    replays,
    scheduled,
    inspection,
    started,
    draining,
  });
  const adapters = addAdapters(base, router, portFor);
  return { portFor, adapters, runners, cursors, dead, replays, links, timers, untell };
}
