import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  BroadcastPart,
  RetryPolicy,
  Start,
  Subscription,
  SubscriptionChange,
  SubscriptionInput,
} from '@eventmesh/delivery';
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
  type UpdateSubscriptionRequestSchema,
} from '@eventmesh/proto-gen/subscriber';
import { filterToProto, filtersFromProto } from './filter.ts';
import { int64, uint32 } from './whole.ts';

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
 * What a caller may set of a subscription, from its gRPC form. What is not set is left out; what the
 * mesh sets itself is ignored.
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
      ...mapped('delayMs', proto.retry?.delayMs, Number),
      ...mapped('delayMaxMs', proto.retry?.delayMaxMs, Number),
      ...set('attemptsMax', proto.retry?.attemptsMax ?? 0),
      delaysMs: (proto.retry?.delaysMs ?? []).map(Number),
      ...mapped('ageMaxMs', proto.retry?.ageMaxMs, Number),
    },
    ...mapped('deadLetter', proto.deadLetter?.disabled, (disabled) => !disabled),
    ...given('deadLetterExpired', proto.deadLetter?.expired),
    ...set('ackTimeoutMs', Number(proto.ackTimeoutMs)),
    ...given('ephemeral', proto.ephemeral),
    ...set('inFlightMax', proto.inFlightMax),
    ...given('ordered', proto.ordered),
    ...given('paused', proto.paused),
  };
}

/**
 * What a caller wants to change of a subscription. Lists that are empty are left out.
 *
 * @param clearFilters it is to have no filters any more
 * @throws MeshError InvalidArgument for enum values that are not known, and for filters to be cleared
 *   and set.
 */
export function changeFromProto(
  proto: ProtoSubscription,
  clearFilters: boolean,
): SubscriptionChange {
  const { topicFilters, filters = [], retry = {}, ...rest } = subscriptionFromProto(proto);
  const { delaysMs = [], ...policy } = retry;
  if (clearFilters && filters.length > 0) {
    throw invalid('clear_filters', 'is true, and there are filters; give one of the two');
  }
  return {
    ...rest,
    ...some('topicFilters', topicFilters),
    ...(clearFilters ? { filters: [] } : some('filters', filters)),
    retry: { ...policy, ...some('delaysMs', delaysMs) },
    ...set('revision', Number(proto.revision)),
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
    ...(subscription.part === undefined ? {} : { part: ownToProto(subscription.part) }),
  };
}

/** A part of a broadcast as the registry keeps it: without anything that the whole has. */
export function partToProto(kept: BroadcastPart): MessageInitShape<typeof SubscriptionSchema> {
  return {
    name: kept.name,
    tenant: kept.tenant,
    start: startToProto(kept.start),
    ephemeral: kept.ephemeral,
    owner: kept.owner,
    site: kept.site,
    createdMs: BigInt(kept.createdMs),
    broadcastOf: kept.broadcastOf,
    // Its revision is the registry's to tell.
    part: ownToProto({ ...kept.part, revision: 0 }),
  };
}

const ownToProto = ({ wholeCreatedMs, paused, revision }: BroadcastPart['part']) => ({
  wholeCreatedMs: BigInt(wholeCreatedMs),
  paused,
  revision: BigInt(revision),
});

function retryToProto(retry: Partial<RetryPolicy>): MessageInitShape<typeof RetryPolicySchema> {
  return {
    kind: keyOf(RETRIES, retry.kind ?? '') as RetryPolicy_Kind,
    ...mapped('delayMs', retry.delayMs, (ms) => int64('retry.delayMs', ms)),
    ...mapped('delayMaxMs', retry.delayMaxMs, (ms) => int64('retry.delayMaxMs', ms)),
    attemptsMax: uint32('retry.attemptsMax', retry.attemptsMax),
    delaysMs: (retry.delaysMs ?? []).map((ms, index) => int64(`retry.delaysMs[${index}]`, ms)),
    ...mapped('ageMaxMs', retry.ageMaxMs, (ms) => int64('retry.ageMaxMs', ms)),
  };
}

export function startToProto(start: Start): MessageInitShape<typeof StartSchema> {
  switch (start.kind) {
    case 'latest':
      return { from: { case: 'latest' as const, value: {} } };
    case 'earliest':
      return { from: { case: 'earliest' as const, value: {} } };
    case 'time':
      return { from: { case: 'timeMs' as const, value: int64('start.timeMs', start.timeMs) } };
    case 'position':
      return {
        from: {
          case: 'position' as const,
          value: {
            partition: uint32('start.partition', start.partition),
            position: int64('start.position', start.position),
          },
        },
      };
    case 'after':
      return { from: { case: 'after' as const, value: { source: start.source, id: start.id } } };
  }
}

function given<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: T });
}

const mapped = <K extends string, V, T>(
  key: K,
  value: V | undefined,
  as: (value: V) => T,
): { [P in K]?: T } => given(key, value === undefined ? undefined : as(value));

function some<K extends string, T>(key: K, list: readonly T[]): { [P in K]?: readonly T[] } {
  return list.length === 0 ? {} : ({ [key]: list } as { [P in K]?: readonly T[] });
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
      ...mapped('disabled', input.deadLetter, (kept) => !kept),
      ...given('expired', input.deadLetterExpired),
    },
    ackTimeoutMs: int64('ackTimeoutMs', input.ackTimeoutMs),
    ...given('ephemeral', input.ephemeral),
    inFlightMax: uint32('inFlightMax', input.inFlightMax),
    ...given('ordered', input.ordered),
    ...given('paused', input.paused),
  };
}

/** What is to change of a subscription, in its gRPC form. */
export function changeToProto(
  change: SubscriptionChange,
): MessageInitShape<typeof UpdateSubscriptionRequestSchema> {
  const { revision = 0, topicFilters = [], filters, ...rest } = change;
  return {
    subscription: {
      ...subscriptionInputToProto({ ...rest, topicFilters, filters: filters ?? [] }),
      revision: BigInt(revision),
    },
    clearFilters: filters?.length === 0,
  };
}
