import { checkSubscription, type Subscription } from '@eventmesh/delivery';
import type { Subscription as ProtoSubscription } from '@eventmesh/proto-gen/subscriber';
import { subscriptionFromProto } from './subscription.ts';

/** A subscription as the registry keeps it: the caller's part and the mesh's. */
export function storedFromProto(proto: ProtoSubscription): Subscription {
  const input = subscriptionFromProto(proto);
  const { broadcastOf } = proto;
  // A part of a broadcast has a name that no caller can give: `<subscription>:<consumer>`.
  const named = broadcastOf === '' ? input : { ...input, name: broadcastOf };
  return {
    ...checkSubscription(named),
    name: proto.name,
    tenant: proto.tenant,
    owner: proto.owner,
    site: proto.site,
    createdMs: Number(proto.createdMs),
    revision: Number(proto.revision),
    broadcastOf,
  };
}
