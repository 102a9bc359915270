import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from '../config.ts';
import type { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import { Slots } from '../slots.ts';
import { Replays } from './replays.ts';

export interface ReplayParts {
  readonly config: DataPlaneConfig['replay'];
  readonly delivery: Pick<DataPlaneConfig['delivery'], 'retryWindow'>;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly admin: SubscriptionAdmin;
  readonly metrics: EmesherMetrics;
  readonly journal: Journal;
  readonly logger: Logger;
}

/** The replay lanes with their bounds and metrics. */
export function makeReplays(parts: ReplayParts): Replays {
  const { config, delivery, store, logs, admin, metrics, journal, logger } = parts;
  const { replayLanes, replayed } = metrics;
  const limits = { max: config.lanesMax, maxPerTenant: config.lanesMaxPerTenant };
  return new Replays({
    store,
    logName: (tenant) => logs.name(tenant),
    now: Date.now,
    monotonicNow: () => performance.now(),
    random: Math.random,
    heldMax: config.heldMax,
    readAheadBytes: config.readAheadBytes,
    retryWindow: delivery.retryWindow,
    logger,
    admin,
    slots: new Slots(limits, 'replay lanes', 'REPLAYS_MAX', (tenant, taken) => {
      replayLanes.set({ tenant }, taken);
    }),
    onDelivered({ id, consumer, subscription: { tenant, name } }, deliveries) {
      const byPartition = Map.groupBy(deliveries, ({ entry }) => entry.partition);
      for (const [partition, some] of byPartition) {
        const positions = some.map(({ entry }) => entry.position);
        journal.note(tenant, partition, positions, 'replayed', name, `to ${consumer} in ${id}`);
      }
    },
    onCounted({ subscription: { tenant } }, since) {
      for (const [outcome, count] of Object.entries(since)) {
        if (count > 0) replayed.inc({ tenant, outcome }, count);
      }
    },
  });
}
