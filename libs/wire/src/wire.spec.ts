import { describe, expect, it } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  checkSubscription,
  type Start,
  type Subscription,
  type SubscriptionChange,
} from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { FilterSpec } from '@eventmesh/filter';
import {
  SubscriptionSchema,
  UpdateSubscriptionRequestSchema,
} from '@eventmesh/proto-gen/subscriber';
import {
  changeFromProto,
  changeToProto,
  partFromProto,
  partToProto,
  storedFromProto,
  subscriptionFromProto,
  subscriptionInputToProto,
  subscriptionToProto,
} from './index.ts';

const DATA_FILTERS: FilterSpec[] = [
  { data: { path: '$.a', equals: 'x' } },
  { data: { path: '$.a', equals: 3.5 } },
  { data: { path: '$.a', equals: false } },
  { data: { path: '$.a', equals: null } },
  { data: { path: '$.a', prefix: 'x' } },
  { data: { path: '$.a', suffix: 'x' } },
  { data: { path: '$.a', less: -1 } },
  { data: { path: '$.a', greater: 0 } },
  { data: { path: "$['a'][0][*]", exists: true } },
];

const full: Subscription = {
  ...checkSubscription({
    name: 'all-of-it',
    topicFilters: ['a/#', '+/b'],
    filters: [
      { exact: { type: 'x' } },
      { any: [{ prefix: { source: '/s' } }, { not: { suffix: { subject: 'z' } } }] },
      { all: [{ exact: { id: '1' } }] },
      { sql: "region IN ('eu', 'us')" },
      ...DATA_FILTERS,
    ],
    mode: 'exclusive',
    start: { kind: 'position', partition: 3, position: 77 },
    retry: {
      kind: 'list',
      delayMs: 5,
      delayMaxMs: 50,
      attemptsMax: 2,
      delaysMs: [0, 10, 20],
      ageMaxMs: 3_600_000,
    },
    deadLetter: false,
    deadLetterExpired: true,
    ackTimeoutMs: 5000,
    inFlightMax: 7,
    ordered: true,
    paused: true,
    ephemeral: true,
  }),
  tenant: 't',
  owner: 'user:me',
  site: 'west',
  createdMs: 1_700_000_000_000,
  revision: 42,
  broadcastOf: 'all',
};

const filters = (dialect: string, inner: unknown[]) => ({
  dialect: { case: dialect, value: { filters: inner } },
});
const data = (test?: string, value?: unknown) => ({
  dialect: { case: 'data', value: { path: '$', test: { case: test, value } } },
});

const overTheWire = (subscription: Subscription) =>
  fromBinary(
    SubscriptionSchema,
    toBinary(SubscriptionSchema, create(SubscriptionSchema, subscriptionToProto(subscription))),
  );

describe('a subscription over gRPC', () => {
  it('comes back whole', () => {
    expect(storedFromProto(overTheWire(full))).toEqual(full);
  });

  it.each<Start>([
    { kind: 'latest' },
    { kind: 'earliest' },
    { kind: 'time', timeMs: 12 },
    { kind: 'after', source: '/s', id: '7' },
  ])('keeps start %j', (start) => {
    expect(storedFromProto(overTheWire({ ...full, start })).start).toEqual(start);
  });

  it('takes the defaults for what the caller has not set', () => {
    const input = { name: 'n', topicFilters: ['#'] };
    const proto = create(SubscriptionSchema, subscriptionInputToProto(input));
    expect(checkSubscription(subscriptionFromProto(proto))).toEqual(checkSubscription(input));
  });

  const updateOverTheWire = (change: SubscriptionChange) => {
    const request = create(UpdateSubscriptionRequestSchema, changeToProto(change));
    const { subscription, clearFilters } = fromBinary(
      UpdateSubscriptionRequestSchema,
      toBinary(UpdateSubscriptionRequestSchema, request),
    );
    return changeFromProto(subscription ?? create(SubscriptionSchema), clearFilters);
  };

  it.each<Omit<SubscriptionChange, 'name'>>([
    {},
    { topicFilters: ['a'], revision: 7 },
    { filters: [] },
    { filters: [{ sql: 'TRUE' }] },
    { ordered: false, paused: false, ephemeral: false, deadLetter: true, deadLetterExpired: false },
    { ordered: true, paused: true, deadLetter: false, ackTimeoutMs: 5000, inFlightMax: 3 },
    { retry: { attemptsMax: 4 } },
    { retry: { kind: 'list', delayMs: 0, delayMaxMs: 0, ageMaxMs: 0, delaysMs: [0, 1] } },
  ])('says what is to change, %j, and nothing else', (change) => {
    expect(updateOverTheWire({ name: 'n', ...change })).toEqual({
      name: 'n',
      retry: {},
      ...change,
    });
  });

  it('is of a part of a broadcast whole for another emesher, and its own for the registry', () => {
    const part = { wholeCreatedMs: 7, paused: true, revision: 9 };
    const whole: Subscription = { ...full, name: 'all:c', part };
    expect(storedFromProto(overTheWire(whole))).toEqual(whole);
    const kept = create(SubscriptionSchema, partToProto({ ...whole, part }));
    expect([kept.topicFilters, kept.filters, kept.retry]).toEqual([[], [], undefined]);
    // The registry tells the revision.
    kept.revision = 12n;
    const { tenant, name, owner, site, start, ephemeral, createdMs, broadcastOf } = whole;
    expect(partFromProto(kept)).toMatchObject({
      ...{ tenant, name, owner, site, start, ephemeral, createdMs, broadcastOf },
      part: { ...part, revision: 12 },
    });
  });

  it.each([
    ['an unknown mode', { mode: 99 }, 'mode'],
    ['an unknown delivery class', { deliveryClass: 99 }, 'deliveryClass'],
    ['an unknown retry kind', { retry: { kind: 99 } }, 'retry.kind'],
    ['a filter without dialect', { filters: [{}] }, 'filters[0]'],
    [
      'one deep inside',
      { filters: [filters('any', [{}, filters('all', [{}])])] },
      'filters[0].any[0]',
    ],
    ['data without test', { filters: [data()] }, 'filters[0].data'],
    ['no JSON', { filters: [data('equals', 'x')] }, 'filters[0].data.equals'],
    ['JSON that is no scalar', { filters: [data('equals', '[1]')] }, 'filters[0].data.equals'],
    ['exists: false', { filters: [data('exists', false)] }, 'filters[0].data.exists'],
  ])('refuses %s and names it', (_, init, field) => {
    const proto = create(SubscriptionSchema, { name: 'n', ...init } as never);
    const refuse = () => subscriptionFromProto(proto);
    expect(refuse).toThrow(MeshError);
    expect(refuse).toThrow(field);
  });
});
