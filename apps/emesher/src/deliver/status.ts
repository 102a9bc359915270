import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { Counters, EngineState, Subscription } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import type { Runners } from './runners.ts';

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
    let lag = 0;
    for (const { partition, last } of partitions) {
      lag += Math.max(0, last + 1 - runner.engine.partition(partition).next);
    }
    const { held, consumers, counters } = runner.engine;
    return {
      ...books(counters),
      held,
      lag,
      consumers,
      ownerMember: '',
      epoch: runner.epoch,
      stuckKeys: [],
    };
  }
  let lag = 0;
  let epoch = 0;
  let state: EngineState | undefined;
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
    if (cursor.state.length > 0) {
      state = JSON.parse(Buffer.from(cursor.state).toString('utf8')) as EngineState;
    }
  }
  return {
    ...books(state?.counters),
    held: 0,
    lag,
    consumers: 0,
    ownerMember: '',
    epoch,
    stuckKeys: [],
  };
}

/**
 * What was looked at and not settled before a restart is looked at again, so without a running
 * engine the sum of the outcomes is what was considered for good.
 */
function books(counters: Counters | undefined) {
  return {
    considered: counters?.considered ?? 0,
    delivered: counters?.delivered ?? 0,
    filtered: counters?.filtered ?? 0,
    expired: counters?.expired ?? 0,
    deadLettered: counters?.deadLettered ?? 0,
    dropped: counters?.dropped ?? 0,
    redelivered: counters?.redelivered ?? 0,
    filterErrors: counters?.filterErrors ?? 0,
  };
}
