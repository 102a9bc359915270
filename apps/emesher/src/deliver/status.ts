import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { decodeState, sumCounters, type Counters, type Subscription } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import type { Runners } from './runners.ts';
import { STUCK_KEYS_LISTED_MAX } from '../inspect/stuck-keys.ts';

/** The books of a subscription: from the engine when it runs here, else from its cursors. */
export async function subscriptionStatus(
  deps: { readonly runners: Runners; readonly logs: Logs; readonly store: EventStore },
  subscription: Subscription,
): Promise<SubscriptionStatus> {
  const { tenant, name } = subscription;
  const info = await deps.store.logInfo(deps.logs.name(tenant));
  const partitions = info?.partitions ?? [];
  const runner = deps.runners.find(tenant, name);
  if (runner !== undefined) {
    runner.refresh();
    const { engine } = runner;
    let lag = 0;
    for (const { partition, last } of partitions) {
      lag += Math.max(0, last + 1 - engine.partition(partition).next);
    }
    const { held, consumers, counters, parkedEvents, parkedKeys, stopped } = engine;
    return {
      ...counters,
      held,
      lag,
      consumers,
      ownerMember: '',
      epoch: runner.epoch,
      stuckKeys: engine.stuckKeys(STUCK_KEYS_LISTED_MAX),
      parked: parkedEvents,
      parkedKeys,
      stopped: stopped ?? '',
      ...engine.waiting,
    };
  }
  let lag = 0;
  let epoch = 0;
  let delayed = 0;
  let nextDueMs = 0;
  const counters: Counters[] = [];
  for (const { partition, last } of partitions) {
    const cursor = await deps.store.loadCursor({
      log: deps.logs.name(tenant),
      partition,
      subscription: name,
    });
    if (cursor === undefined) continue;
    lag += Math.max(0, last + 1 - cursor.floor);
    for (const { from, to } of cursor.settled) lag -= to - from + 1;
    epoch = Math.max(epoch, cursor.epoch);
    const state = decodeState(cursor.state);
    if (state === undefined) continue;
    lag += state.parkedEvents;
    counters.push(state.counters);
    for (const [, dueMs] of state.delays) {
      if (dueMs <= Date.now()) continue;
      delayed++;
      if (nextDueMs === 0 || dueMs < nextDueMs) nextDueMs = dueMs;
    }
  }
  return {
    // What was looked at and not settled before a restart is looked at again, so without a running
    // engine the sum of the outcomes is what was considered for good.
    ...sumCounters(counters),
    held: 0,
    lag,
    consumers: 0,
    ownerMember: '',
    epoch,
    stuckKeys: [],
    parked: 0,
    parkedKeys: 0,
    stopped: '',
    delayed,
    nextDueMs,
    paced: 0,
    retryWindow: 0,
  };
}
