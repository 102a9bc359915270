import { CLIENT_METRICS, subscriptionKey, type GovernanceView } from '@eventmesh/clients';
import type { EventStore } from '@eventmesh/store-api';
import type { Metrics } from '@eventmesh/telemetry';
import type { Directory } from '../control/directory.ts';
import type { DeadLetters } from '../dead/dead-letters.ts';
import type { Runners } from '../deliver/runners.ts';
import type { Links } from '../link/links.ts';
import { emesherQueues } from '../metrics.ts';
import type { DirectFanOut } from '../peer/direct-fan-out.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Replays } from '../replay/replays.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Journal } from './journal.ts';
import type { Refusals } from './refusals.ts';

export interface QueueParts {
  readonly metrics: Metrics;
  readonly store: EventStore;
  readonly policies: Pick<GovernanceView, 'auditSpool'>;
  readonly directory: Pick<Directory, 'subscriptions'>;
  readonly runners: Pick<Runners, 'all'>;
  readonly lanes: DirectLanes;
  readonly fanOut: DirectFanOut;
  readonly links: Links;
  readonly letters: DeadLetters;
  readonly timers: Timers;
  readonly replays: Replays;
  readonly journal: Journal;
  readonly refusals: Refusals;
}

/** Tells how full the queues are that live as long as the emesher; see docs/reference/queues.md. */
export function measureQueues(parts: QueueParts): void {
  const { metrics, store, directory, runners, lanes, fanOut, links } = parts;
  const { letters, timers, replays, journal, refusals, policies } = parts;
  metrics.use(emesherQueues);
  metrics.measure(emesherQueues.storePendingBytes, () => store.queues().pendingBytes ?? 0);
  metrics.measure(emesherQueues.storeFrames, () => store.queues().inFlight ?? 0);
  metrics.measure(emesherQueues.storeCursors, () => store.queues().waitingCursors ?? 0);
  metrics.measure(CLIENT_METRICS.auditSpool, () => policies.auditSpool.size);
  metrics.measure(emesherQueues.heldBytes, () => heldBytes(runners));
  metrics.measure(emesherQueues.direct, () => lanes.waiting);
  metrics.measure(emesherQueues.directFanOut, () => fanOut.waiting);
  metrics.measure(emesherQueues.broadcastConsumers, () => broadcastConsumers(directory));
  metrics.measure(emesherQueues.deadLetters, () => letters.waiting);
  metrics.measure(emesherQueues.linkGatheredBytes, () => links.gatheredBytes);
  metrics.measure(emesherQueues.linkMessages, () => links.waiting);
  metrics.measure(emesherQueues.missed, () => timers.missed);
  metrics.measure(emesherQueues.replayHeld, () => replays.held);
  metrics.measure(emesherQueues.traceEvents, () => journal.size);
  metrics.measure(emesherQueues.traceRefusals, () => refusals.size);
}

function heldBytes(runners: Pick<Runners, 'all'>): number {
  let most = 0;
  for (const { engine } of runners.all) most = Math.max(most, engine.heldBytes);
  return most;
}

function broadcastConsumers({ subscriptions }: Pick<Directory, 'subscriptions'>): number {
  const parts = new Map<string, number>();
  let most = 0;
  for (const { tenant, broadcastOf } of subscriptions.values()) {
    if (broadcastOf === '') continue;
    const whole = subscriptionKey({ tenant, name: broadcastOf });
    const count = (parts.get(whole) ?? 0) + 1;
    parts.set(whole, count);
    most = Math.max(most, count);
  }
  return most;
}
