import type { ReplayStatus, StuckKey, SubscriptionStatus } from '@eventmesh/adapter-api';
import type {
  ReplayStatus as WireReplay,
  SubscriptionStatus as WireStatus,
} from '@eventmesh/proto-gen/subscriber';

/** The books of a subscription that runs at another emesher, as that one tells them. */
export function statusFromWire(status: WireStatus): SubscriptionStatus {
  return {
    considered: Number(status.considered),
    delivered: Number(status.delivered),
    filtered: Number(status.filtered),
    expired: Number(status.expired),
    deadLettered: Number(status.deadLettered),
    dropped: Number(status.dropped),
    held: Number(status.held),
    lag: Number(status.lag),
    consumers: status.consumers,
    ownerMember: status.ownerMember,
    epoch: Number(status.epoch),
    redelivered: Number(status.redelivered),
    filterErrors: Number(status.filterErrors),
    stuckKeys: status.stuckKeys.map(stuckKeyFromWire),
    parked: Number(status.parked),
    parkedKeys: status.parkedKeys,
    stopped: status.stopped,
    delayed: Number(status.delayed),
    nextDueMs: Number(status.nextDueMs),
    paced: Number(status.paced),
    retryWindow: status.retryWindow,
  };
}

function stuckKeyFromWire(stuck: WireStatus['stuckKeys'][number]): StuckKey {
  const { topic, key, consumer, heldMs, waiting, parked, failures } = stuck;
  return { topic, key, consumer, heldMs: Number(heldMs), waiting, parked, failures };
}

/** A replay lane of another emesher. */
export function replayStatusFromWire(status: WireReplay): ReplayStatus {
  const { id, subscription, consumer, rateMax } = status;
  return {
    id,
    subscription,
    consumer,
    rateMax,
    delivered: Number(status.delivered),
    filtered: Number(status.filtered),
    dropped: Number(status.dropped),
    expired: Number(status.expired),
    lag: Number(status.lag),
    startedMs: Number(status.startedMs),
  };
}
