import { checkSubscription, type BroadcastPart, type Subscription } from '@eventmesh/delivery';
import type { Subscription as ProtoSubscription } from '@eventmesh/proto-gen/subscriber';
import { startFromProto, subscriptionFromProto } from './subscription.ts';

/** A whole subscription as the mesh knows it: the caller's part and the mesh's. */
export function storedFromProto(proto: ProtoSubscription): Subscription {
  const input = subscriptionFromProto(proto);
  const { broadcastOf } = proto;
  // A part of a broadcast has a name that no caller can give: `<subscription>:<consumer>`.
  const named = broadcastOf === '' ? input : { ...input, name: broadcastOf };
  return {
    ...checkSubscription(named),
    ...ofTheMesh(proto),
    ...(proto.part === undefined ? {} : { part: ownOf(proto) }),
  };
}

/** A part of a broadcast as the registry keeps it: what it has besides its whole. */
export const partFromProto = (proto: ProtoSubscription): BroadcastPart => ({
  ...ofTheMesh(proto),
  start: startFromProto(proto.start),
  ephemeral: proto.ephemeral === true,
  part: ownOf(proto),
});

const ofTheMesh = (proto: ProtoSubscription) => ({
  name: proto.name,
  tenant: proto.tenant,
  owner: proto.owner,
  site: proto.site,
  createdMs: Number(proto.createdMs),
  revision: Number(proto.revision),
  broadcastOf: proto.broadcastOf,
});

/** The registry tells the revision of what it keeps once; that is the part's own. */
const ownOf = ({ part, revision }: ProtoSubscription) => ({
  wholeCreatedMs: Number(part?.wholeCreatedMs ?? 0n),
  paused: part?.paused === true,
  revision: Number(part?.revision || revision),
});
