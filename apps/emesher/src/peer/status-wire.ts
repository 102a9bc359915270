import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { SubscriptionStatus as WireStatus } from '@eventmesh/proto-gen/subscriber';

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
    stuckKeys: status.stuckKeys.map((stuck) => ({ ...stuck, heldMs: Number(stuck.heldMs) })),
  };
}
