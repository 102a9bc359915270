import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { Subscription, SubscriptionInput } from '@eventmesh/delivery';
import { subscriptionFromProto, subscriptionToProto } from '@eventmesh/wire';
import type { Subscription as ProtoSubscription } from '@eventmesh/proto-gen/subscriber';

/** What a caller may set of a subscription; the mesh's own fields are ignored. */
export function toSubscriptionInput(subscription: ProtoSubscription): SubscriptionInput {
  return subscriptionFromProto(subscription);
}

export const fromSubscription = (subscription: Subscription) => subscriptionToProto(subscription);

export function fromStatus(status: SubscriptionStatus) {
  return {
    considered: BigInt(status.considered),
    delivered: BigInt(status.delivered),
    filtered: BigInt(status.filtered),
    expired: BigInt(status.expired),
    deadLettered: BigInt(status.deadLettered),
    dropped: BigInt(status.dropped),
    held: BigInt(status.held),
    lag: BigInt(status.lag),
    consumers: status.consumers,
    ownerMember: status.ownerMember,
    epoch: BigInt(status.epoch),
    redelivered: BigInt(status.redelivered),
    filterErrors: BigInt(status.filterErrors),
    stuckKeys: status.stuckKeys.map((stuck) => ({ ...stuck, heldMs: BigInt(stuck.heldMs) })),
    parked: BigInt(status.parked),
    parkedKeys: status.parkedKeys,
    stopped: status.stopped,
    delayed: BigInt(status.delayed),
    nextDueMs: BigInt(status.nextDueMs),
    paced: BigInt(status.paced),
    retryWindow: status.retryWindow,
  };
}
