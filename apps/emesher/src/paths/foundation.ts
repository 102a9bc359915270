import { nowUs } from '../clock.ts';
import { StoreStrength } from '../control/store-strength.ts';
import { Directory } from '../control/directory.ts';
import { Takeovers } from '../control/takeovers.ts';
import { Followers } from '../follow/followers.ts';
import { Journal } from '../inspect/journal.ts';
import { Ledger } from '../inspect/ledger.ts';
import { Refusals } from '../inspect/refusals.ts';
import { ServedBy } from '../inspect/served-by.ts';
import { LostRanges } from '../link/lost-ranges.ts';
import { Logs } from '../logs.ts';
import { emesherMetrics } from '../metrics.ts';
import { OwnerCalls, TAKEOVER_LAG_MS } from '../peer/owner-calls.ts';
import { Peers } from '../peer/peers.ts';
import { sitePause } from '../peer/site-pause.ts';
import type { EmesherDeps, EmesherOptions } from '../options.ts';

/** What the paths share; each names at its head what it takes of it. */
export type Base = ReturnType<typeof foundation>;

export function foundation(options: EmesherOptions, deps: EmesherDeps) {
  const { store, registry, policies, log } = deps;
  const metrics = deps.metrics.use(emesherMetrics);
  const logs = new Logs(store, options.dataPlane.log);
  const directory = new Directory(registry, log, options.member);
  const served = new ServedBy();
  const refusals = new Refusals(options.dataPlane.trace.refusalsMax, nowUs);
  const peers = new Peers(directory, options.serviceToken, options.peerTls);
  const ledger = new Ledger({ metrics, policies, served, refusals, now: Date.now });
  const { ttl } = options.dataPlane.lease;
  metrics.leaseTtl.set(ttl / 1000);
  void new Takeovers(directory, metrics, () => performance.now());
  const { retention: retentionMs } = options.dataPlane.log;
  const neighbours = options.links.map(({ site }) => site);
  return {
    options,
    deps,
    logs,
    lost: new LostRanges({ store, logs, neighbours, retentionMs, now: Date.now }),
    directory,
    peers,
    owners: new OwnerCalls({ peers, pause: sitePause(directory), waitMs: ttl + TAKEOVER_LAG_MS }),
    served,
    refusals,
    ledger,
    metrics,
    journal: new Journal(options.dataPlane.trace.eventsMax),
    followers: new Followers(store, logs, log, options.dataPlane.delivery.readAheadBytes),
    strength: new StoreStrength(store, log),
  };
}
