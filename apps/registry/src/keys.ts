import { fromBinary } from '@bufbuild/protobuf';
import {
  AcknowledgementsSchema,
  AdvertisementSchema,
  MemberSchema,
  type Acknowledgements,
  type Advertisement,
  type Member,
} from '@eventmesh/proto-gen/registry';
import { SubscriptionSchema, type Subscription } from '@eventmesh/proto-gen/subscriber';

/** Everything that is mirrored in memory lies below this prefix of the site's control state. */
export const stateRoot = (site: string): string => `registry/${site}/state/`;
/** Owners and their epochs: read when asked, never mirrored. */
export const ownershipRoot = (site: string): string => `registry/${site}/ownership/`;

/** A member's lease; the key is attached to it. */
export interface LeaseInfo {
  readonly memberId: string;
  readonly ttlMs: number;
}

/** What lies below the state root, by the first level of the key. */
export interface Areas {
  /** `members/<id>`, on the member's lease. */
  members: Member;
  /** `leases/<lease id>`, on that lease. */
  leases: LeaseInfo;
  /** `applied/<member id>`, on the member's lease: version of the routing table it routes by. */
  applied: number;
  /** `subscriptions/<tenant>/<name>`; an ephemeral one on its member's lease. */
  subscriptions: Subscription;
  /** `links/<neighbour>/<replica>`, on the replica's lease: cost of the link it keeps up. */
  links: number;
  /** `advertisements/<site>`, this site's own among them. */
  advertisements: Advertisement;
  /** `acknowledgements/<site>`: all that the site has acknowledged. */
  acknowledgements: Acknowledgements;
}

export type Area = keyof Areas;

const text = new TextDecoder('utf-8', { fatal: true });

export const encodeText = (value: string): Uint8Array => new TextEncoder().encode(value);

export function decodeNumber(value: Uint8Array): number {
  const number = Number(text.decode(value));
  if (!Number.isSafeInteger(number)) throw new TypeError('the value is not a whole number');
  return number;
}

export const decodeJson = (value: Uint8Array): unknown => JSON.parse(text.decode(value));

export const DECODE: { readonly [A in Area]: (value: Uint8Array) => Areas[A] } = {
  members: (value) => fromBinary(MemberSchema, value),
  leases: (value) => decodeJson(value) as LeaseInfo,
  applied: decodeNumber,
  subscriptions: (value) => fromBinary(SubscriptionSchema, value),
  links: decodeNumber,
  advertisements: (value) => fromBinary(AdvertisementSchema, value),
  acknowledgements: (value) => fromBinary(AcknowledgementsSchema, value),
};

export const key = (area: Area, ...rest: readonly string[]): string => [area, ...rest].join('/');
