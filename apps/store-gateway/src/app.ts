import type { Secret } from '@eventmesh/config';
import { EventStoreService } from '@eventmesh/proto-gen/store';
import { Router } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger, Metrics } from '@eventmesh/telemetry';
import { bearerGuard } from '@eventmesh/lifecycle';
import type { StoreGatewaySettings } from './config.ts';
import { DurabilityWatch } from './durability-watch.ts';
import { STORE_METRICS } from './metrics.ts';
import { storeService } from './service.ts';

export interface StoreGatewayDeps {
  /** Closed by `drain`. */
  readonly store: EventStore;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export type StoreGatewayAppConfig = StoreGatewaySettings & {
  readonly serviceToken?: Secret | undefined;
};

export interface StoreGatewayApp {
  readonly router: Router;
  /** For those in the same process; what `drain` closes. */
  readonly store: EventStore;
  /** Verifies the store. A weak one does not keep it from starting: it is said, or refused later. */
  start(): Promise<void>;
  /** Settles appends in flight and closes the store. */
  drain(deadlineMs?: number): Promise<void>;
}

/** Composes the service over an open store. */
export function createStoreGatewayApp(
  config: StoreGatewayAppConfig,
  deps: StoreGatewayDeps,
): StoreGatewayApp {
  const { store, log } = deps;
  const metrics = deps.metrics.use(STORE_METRICS);
  const measure: Metrics['measure'] = (queue, fill) => deps.metrics.measure(queue, fill);
  measure(STORE_METRICS.pendingBytes, () => store.queues().pendingBytes ?? 0);
  measure(STORE_METRICS.commitsInFlight, () => store.queues().inFlight ?? 0);
  measure(STORE_METRICS.readAheadBytes, () => store.queues().readAheadBytes ?? 0);
  const durability = new DurabilityWatch(store, config.durability, metrics, log);
  const router = new Router().service(
    EventStoreService,
    storeService({ store, durability, settings: config, metrics, measure }),
    { ...bearerGuard(config.serviceToken), bulk: ['Append'] },
  );
  return {
    router,
    store,
    start: async () => {
      await durability.start();
    },
    drain: async () => {
      durability.stop();
      await store.close();
    },
  };
}
