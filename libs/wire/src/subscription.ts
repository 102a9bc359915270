import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RetryPolicy, Start, Subscription, SubscriptionInput } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import {
  RetryPolicy_Kind,
  type RetryPolicySchema,
  type StartSchema,
  Subscription_Mode,
  type Start as ProtoStart,
  type Subscription as ProtoSubscription,
  type SubscriptionSchema,
} from '@eventmesh/proto-gen/subscriber';
import { filterToProto, filtersFromProto } from './filter.ts';

const MODES = {
  [Subscription_Mode.SHARED]: 'shared',
  [Subscription_Mode.EXCLUSIVE]: 'exclusive',
  [Subscription_Mode.BROADCAST]: 'broadcast',
} as const;
const CLASSES = {
  [DeliveryClass.DURABLE]: 'durable',
  [DeliveryClass.DIRECT]: 'direct',
} as const;
const RETRIES = {
  [RetryPolicy_Kind.NONE]: 'none',
  [RetryPolicy_Kind.LINEAR]: 'linear',
  [RetryPolicy_Kind.EXPONENTIAL]: 'exponential',
  [RetryPolicy_Kind.LIST]: 'list',
} as const;

/**
 * What a caller may set of a subscription, from its gRPC form. Unset fields (zero) take the
 * defaults; what the mesh sets itself is ignored.
 *
 * @throws MeshError InvalidArgument for enum values that are not known.
 */
export function subscriptionFromProto(proto: ProtoSubscription): SubscriptionInput {
  const deliveryClass = enumOf(CLASSES, proto.deliveryClass, 'deliveryClass');
  const mode = enumOf(MODES, proto.mode, 'mode');
  const retryKind = enumOf(RETRIES, proto.retry?.kind ?? 0, 'retry.kind');
  return {
    name: proto.name,
    topicFilters: proto.topicFilters,
    filters: filtersFromProto(proto.filters, 'filters'),
    ...(deliveryClass === undefined ? {} : { deliveryClass }),
    ...(mode === undefined ? {} : { mode }),
    ...(proto.start?.from.case === undefined ? {} : { start: startFromProto(proto.start) }),
    retry: {
      ...(retryKind === undefined ? {} : { kind: retryKind }),
      ...set('delayMs', Number(proto.retry?.delayMs ?? 0n)),
      ...set('delayMaxMs', Number(proto.retry?.delayMaxMs ?? 0n)),
      ...set('attemptsMax', proto.retry?.attemptsMax ?? 0),
      delaysMs: (proto.retry?.delaysMs ?? []).map(Number),
      ageMaxMs: Number(proto.retry?.ageMaxMs ?? 0n),
    },
    deadLetter: proto.deadLetter?.disabled !== true,
    deadLetterExpired: proto.deadLetter?.expired === true,
    ...set('ackTimeoutMs', Number(proto.ackTimeoutMs)),
    ephemeral: proto.ephemeral,
    ...set('inFlightMax', proto.inFlightMax),
    ordered: proto.ordered,
    paused: proto.paused,
  };
}

export function startFromProto(start: ProtoStart | undefined): Start {
  const from = start?.from;
  switch (from?.case) {
    case 'earliest':
      return { kind: 'earliest' };
    case 'timeMs':
      return { kind: 'time', timeMs: Number(from.value) };
    case 'position':
      return {
        kind: 'position',
        partition: from.value.partition,
        position: Number(from.value.position),
      };
    case 'after':
      return { kind: 'after', source: from.value.source, id: from.value.id };
    default:
      return { kind: 'latest' };
  }
}

/** The whole subscription in its gRPC form. */
export function subscriptionToProto(
  subscription: Subscription,
): MessageInitShape<typeof SubscriptionSchema> {
  return {
    name: subscription.name,
    tenant: subscription.tenant,
    topicFilters: [...subscription.topicFilters],
    filters: subscription.filters.map(filterToProto),
    deliveryClass:
      subscription.deliveryClass === 'direct' ? DeliveryClass.DIRECT : DeliveryClass.DURABLE,
    mode: keyOf(MODES, subscription.mode) as Subscription_Mode,
    start: startToProto(subscription.start),
    retry: retryToProto(subscription.retry),
    deadLetter: { disabled: !subscription.deadLetter, expired: subscription.deadLetterExpired },
    ackTimeoutMs: BigInt(subscription.ackTimeoutMs),
    ephemeral: subscription.ephemeral,
    inFlightMax: subscription.inFlightMax,
    ordered: subscription.ordered,
    paused: subscription.paused,
    owner: subscription.owner,
    site: subscription.site,
    createdMs: BigInt(subscription.createdMs),
    revision: BigInt(subscription.revision),
    broadcastOf: subscription.broadcastOf,
  };
}

function retryToProto(retry: Partial<RetryPolicy>): MessageInitShape<typeof RetryPolicySchema> {
  return {
    kind: keyOf(RETRIES, retry.kind ?? '') as RetryPolicy_Kind,
    delayMs: BigInt(retry.delayMs ?? 0),
    delayMaxMs: BigInt(retry.delayMaxMs ?? 0),
    attemptsMax: retry.attemptsMax ?? 0,
    delaysMs: (retry.delaysMs ?? []).map(BigInt),
    ageMaxMs: BigInt(retry.ageMaxMs ?? 0),
  };
}

export function startToProto(start: Start): MessageInitShape<typeof StartSchema> {
  switch (start.kind) {
    case 'latest':
      return { from: { case: 'latest' as const, value: {} } };
    case 'earliest':
      return { from: { case: 'earliest' as const, value: {} } };
    case 'time':
      return { from: { case: 'timeMs' as const, value: BigInt(start.timeMs) } };
    case 'position':
      return {
        from: {
          case: 'position' as const,
          value: { partition: start.partition, position: BigInt(start.position) },
        },
      };
    case 'after':
      return { from: { case: 'after' as const, value: { source: start.source, id: start.id } } };
  }
}

function set<K extends string>(key: K, value: number): { [P in K]?: number } {
  return value === 0 ? {} : ({ [key]: value } as { [P in K]: number });
}

function enumOf<T extends string>(
  table: Readonly<Record<number, T>>,
  value: number,
  field: string,
): T | undefined {
  const found = table[value];
  if (found === undefined && value !== 0) throw invalid(field, `${value} is not known`);
  return found;
}

function keyOf(table: Readonly<Record<number, string>>, value: string): number {
  return Number(Object.entries(table).find(([, name]) => name === value)?.[0] ?? 0);
}

/** What a caller asks for, in its gRPC form; what is not given stays unset. */
export function subscriptionInputToProto(
  input: SubscriptionInput,
): MessageInitShape<typeof SubscriptionSchema> {
  return {
    name: input.name,
    topicFilters: [...input.topicFilters],
    filters: (input.filters ?? []).map(filterToProto),
    deliveryClass:
      input.deliveryClass === 'direct' ? DeliveryClass.DIRECT : DeliveryClass.UNSPECIFIED,
    mode: keyOf(MODES, input.mode ?? '') as Subscription_Mode,
    ...(input.start === undefined ? {} : { start: startToProto(input.start) }),
    retry: retryToProto(input.retry ?? {}),
    deadLetter: {
      disabled: input.deadLetter === false,
      expired: input.deadLetterExpired === true,
    },
    ackTimeoutMs: BigInt(input.ackTimeoutMs ?? 0),
    ephemeral: input.ephemeral ?? false,
    inFlightMax: input.inFlightMax ?? 0,
    ordered: input.ordered ?? false,
    paused: input.paused ?? false,
  };
}
