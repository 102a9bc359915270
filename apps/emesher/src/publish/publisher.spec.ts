import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PublishItem, Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { EventView, type RecordView } from '@eventmesh/event';
import { partitionOf } from '../logs.ts';
import { APPEND_MAX } from './call.ts';
import {
  GRANTS_REVISION,
  NOW,
  POLICY_REVISION,
  TENANT,
  caller,
  eventOf,
  item,
} from './test/gate.ts';
import { PublishSite } from './test/publish-site.ts';

const TOPIC = 'orders/eu';
const HOUR_MS = 3_600_000;
/** Keys of one topic that fall into two partitions. */
const [LEFT, RIGHT] = [0, 1].map((partition) =>
  ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find((key) => partitionOf(TOPIC, key, 2) === partition),
) as [string, string];

const sites: PublishSite[] = [];
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
});

async function open(options: Parameters<typeof PublishSite.open>[0] = {}): Promise<PublishSite> {
  const site = await PublishSite.open(options);
  sites.push(site);
  return site;
}

const keyed = (id: string, partitionkey: string, options: Partial<PublishItem> = {}) =>
  item({ id, attributes: { partitionkey } }, options);
const some = (count: number, options: (index: number) => Partial<PublishItem> = () => ({})) =>
  Array.from({ length: count }, (_, index) => item({ id: `e${index}` }, options(index)));
const later = { deliverAtMs: NOW + HOUR_MS };
const idsOf = (records: readonly RecordView[]) =>
  records.map(({ event }) => new EventView(event).id);

/** Where an event lies, or why it does not. */
const told = (outcome: Receipt | MeshError | undefined): string =>
  outcome instanceof MeshError
    ? outcome.reasonText
    : `${outcome?.partition}/${outcome?.position}${outcome?.duplicate === true ? ' again' : ''}`;

describe('the events of a call', () => {
  it('are stored by their keys in the order of the call, and each is told where it lies', async () => {
    const site = await open();
    const calls = [
      keyed('1', LEFT),
      keyed('2', RIGHT),
      keyed('3', LEFT),
      keyed('4', LEFT),
      keyed('5', RIGHT),
    ];
    const outcomes = await site.publish(calls);
    expect(outcomes.map(told)).toEqual(['0/1', '1/1', '0/2', '0/3', '1/2']);
    expect(idsOf(await site.stored(0))).toEqual(['1', '3', '4']);
    expect(idsOf(await site.stored(1))).toEqual(['2', '5']);
    expect(outcomes[0]).toEqual({
      ...{ site: 'west', partition: 0, position: 1, duplicate: false, durability: 'fsync' },
      ...{ noInterest: true, destinations: [] },
    });
  });

  it('are stored with who published them when, by which rules, and for whom', async () => {
    const site = await open({ partitions: 1 });
    site.gate.elsewhere.set(TOPIC, ['east']);
    await site.publish([keyed('1', 'k', { expiresAfterMs: 50 }), item({ id: '2' })]);
    const [one, two] = await site.stored(0);
    expect(one).toMatchObject({
      ...{ tenant: TENANT, topic: TOPIC, principal: 'ann', originSite: 'west' },
      ...{ key: 'k', expiryMs: NOW + 50, destinations: ['east'], hops: [] },
      handling: { policyRevision: POLICY_REVISION, grantsRevision: GRANTS_REVISION },
    });
    expect(two).toMatchObject({ key: '', expiryMs: 0, ingressTimeUs: one?.ingressTimeUs });
    expect(Buffer.from(two?.event ?? [])).toEqual(eventOf({ id: '2' }));
  });

  it('keep their order when they are more than one append takes', async () => {
    const site = await open({ partitions: 1 });
    const count = 2 * APPEND_MAX + 1;
    const outcomes = await site.publish(some(count));
    expect(outcomes.map(told)).toEqual(Array.from({ length: count }, (_, n) => `0/${n + 1}`));
    expect(idsOf(await site.stored(0))).toEqual(Array.from({ length: count }, (_, n) => `e${n}`));
  });

  it('are refused one by one, and what is refused is counted and remembered', async () => {
    const site = await open({ partitions: 1 });
    const session = caller(['orders/#']);
    const items = [
      item({ id: '1' }),
      item({ id: '2' }, { topic: 'x' }),
      item({}, { event: Buffer.of() }),
      item({ id: '3' }),
    ];
    const outcomes = await site.publish(items, {}, session);
    expect(outcomes.map(told)).toEqual(['0/1', 'NO_GRANT', 'INVALID_ARGUMENT', '0/2']);
    expect(await site.counted('refused', { code: 'PermissionDenied' })).toBe(1);
    expect(await site.counted('refused', { code: 'InvalidArgument' })).toBe(1);
    expect(site.refusals.find(TENANT, '2')).toMatchObject([
      { topic: 'x', reason: 'NO_GRANT', grantsRevision: GRANTS_REVISION },
    ]);
  });

  it('tell whether somebody here or elsewhere wants them', async () => {
    const site = await open({ partitions: 1 });
    site.gate.subscribe('orders/eu');
    site.gate.subscribe('orders/us', 'direct');
    site.gate.elsewhere.set('orders/jp', ['east', 'north']);
    const topics = ['orders/eu', 'orders/us', 'orders/jp'];
    const outcomes = await site.publish(topics.map((topic, n) => item({ id: `${n}` }, { topic })));
    expect(outcomes).toMatchObject([
      { noInterest: false, destinations: [] },
      { noInterest: true, destinations: [] },
      { noInterest: false, destinations: ['east', 'north'] },
    ]);
  });

  it('of the direct class are handed on at once and not stored', async () => {
    const site = await open({ partitions: 1 });
    site.gate.elsewhere.set(TOPIC, ['east']);
    const [direct, durable] = await site.publish([
      item({ id: 'd' }, { deliveryClass: 'direct' }),
      item({ id: 's' }),
    ]);
    expect([direct, durable].map(told)).toEqual(['0/0', '0/1']);
    expect(direct).toMatchObject({ durability: undefined, destinations: ['east'] });
    expect(site.forwarded).toEqual(['d']);
    expect(idsOf(await site.stored(0))).toEqual(['s']);
    expect(await site.counted('accepted', { class: 'direct' })).toBe(1);
  });

  it('have the error of a store that is away, each of them', async () => {
    const site = await open({ partitions: 1 });
    await site.publish([item({ id: '0' })]);
    await site.store.close();
    const outcomes = await site.publish(some(3));
    expect(outcomes).toEqual(Array(3).fill(expect.any(MeshError)));
    const code = MeshError.from(outcomes[0]).code;
    expect(await site.counted('refused', { code })).toBe(3);
    expect(await site.counted('accepted', { class: 'durable' })).toBe(1);
  });
});

describe('the books of what is published', () => {
  it('have each event once, however often it is sent', async () => {
    const site = await open({ partitions: 1 });
    const twice = await site.publish([item({ id: '1' }), item({ id: '2' }), item({ id: '1' })]);
    const again = await site.publish([item({ id: '2' }), item({ id: '3' })]);
    expect([...twice, ...again].map(told)).toEqual(['0/1', '0/2', '0/1 again', '0/2 again', '0/3']);
    expect(await site.counted('accepted', { class: 'durable' })).toBe(3);
    expect(await site.counted('accepted_bytes')).toBe(3 * eventOf().length);
    expect(await site.counted('duplicate')).toBe(2);
    expect(site.ledger.tenantLine(TENANT).accepted).toBe(3);
    expect(site.ledger.topics(TENANT)).toMatchObject([{ topic: TOPIC, events: 3 }]);
    expect(site.journal.receipts(TENANT)).toBe(3);
    expect(site.journal.find(TENANT, '2', '/s')).toEqual([{ partition: 0, position: 2 }]);
  });
});

describe('a call that is all or nothing', () => {
  it('is stored as one', async () => {
    const site = await open();
    const outcomes = await site.publish([keyed('1', RIGHT), keyed('2', RIGHT)], { atomic: true });
    expect(outcomes.map(told)).toEqual(['1/1', '1/2']);
  });

  const partition = '1 partition, 1000 events';
  it.each<[string, readonly PublishItem[], object]>([
    [
      'fall into two partitions',
      [keyed('1', LEFT), keyed('2', RIGHT)],
      { reason: 'ATOMIC_ACROSS_PARTITIONS', details: { field: 'atomic', limit: partition } },
    ],
    [
      'are in part for later',
      [keyed('1', LEFT), keyed('2', LEFT, later)],
      { reason: 'ATOMIC_ACROSS_PARTITIONS', details: { field: 'atomic', limit: partition } },
    ],
    [
      'are more than one append takes',
      some(APPEND_MAX + 1),
      { reason: 'ATOMIC_TOO_LARGE', details: { field: 'atomic', limit: partition } },
    ],
    [
      'are in part direct',
      [item({ id: '1' }), item({ id: '2' }, { deliveryClass: 'direct' })],
      { code: 'InvalidArgument', details: { field: 'events[1].atomic' } },
    ],
    [
      'are in part refused',
      [item({ id: '1' }), item({ id: '2' }, { deliverAtMs: -1 })],
      { code: 'InvalidArgument', details: { field: 'events[1].deliverAtMs' } },
    ],
  ])('is refused as a whole when its events %s', async (_, items, problem) => {
    const site = await open({ pendingMax: 1 });
    const outcomes = await site.publish(items, { atomic: true });
    expect(outcomes).toHaveLength(items.length);
    for (const outcome of outcomes) expect(outcome).toMatchObject(problem);
    expect([...(await site.stored(0)), ...(await site.stored(1)), ...site.forwarded]).toEqual([]);
    // The one place that a timer had taken is free again.
    expect(told((await site.publish([item({ id: 'x' }, later)]))[0])).toBe('0/1');
  });
});

describe('the spans of a call', () => {
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  });
  beforeAll(() => once(collector.listen(0, '127.0.0.1'), 'listening'));
  afterAll(() => void collector.close());

  it('end when it is refused as a whole, too', async () => {
    const { port } = collector.address() as AddressInfo;
    const site = await open({ otlpUrl: `http://127.0.0.1:${port}/v1/traces` });
    const items = [keyed('1', LEFT), keyed('2', RIGHT)];
    expect(await site.publish(items, { atomic: true })).toHaveLength(2);
    // What has ended waits for the collector.
    expect(await site.metrics.value('eventmesh_spans_waiting')).toBe(2);
  });
});

describe('the events of a producer', () => {
  const producer = { id: 'p', epoch: 1 };
  const numbered = (id: string, sequence: number) => item({ id }, { sequence });

  it('are known again by their numbers, whatever their ids', async () => {
    const site = await open({ partitions: 1 });
    const first = await site.publish([numbered('1', 1), numbered('2', 5)], { producer });
    const again = await site.publish([numbered('other', 5), numbered('3', 6)], {
      producer: { ...producer },
    });
    // Of an id that the store has not seen it does not know a place.
    expect([...first, ...again].map(told)).toEqual(['0/1', '0/2', '0/0 again', '0/3']);
    expect(idsOf(await site.stored(0))).toEqual(['1', '2', '3']);
  });

  it('are refused without a number, and a producer without a name is none', async () => {
    const site = await open();
    const [outcome] = await site.publish([item()], { producer });
    expect(outcome).toMatchObject({ code: 'InvalidArgument', details: { field: 'sequence' } });
    await expect(
      site.publish([numbered('1', 1)], { producer: { id: '', epoch: 1 } }),
    ).rejects.toMatchObject({ details: { field: 'producer.id' } });
  });

  it('go no further after one that was not stored', async () => {
    const site = await open({ partitions: 1 });
    await site.publish([numbered('1', 1)], { producer: { ...producer, epoch: 2 } });
    // The store refuses an epoch that is over.
    const outcomes = await Promise.all(
      [2, 3].map((n) => site.publish([numbered(`${n}`, n)], { producer })),
    );
    expect(outcomes.flat().map(told)).toEqual(['PRODUCER_FENCED', 'PRODUCER_INTERRUPTED']);
    expect(idsOf(await site.stored(0))).toEqual(['1']);
  });
});

describe('events for later', () => {
  it('go into the log of timers with their time, and come into the books when they are due', async () => {
    const site = await open();
    const [timer, now] = await site.publish([keyed('t', RIGHT, later), keyed('n', RIGHT)]);
    expect(timer).toMatchObject({ partition: 0, position: 1, duplicate: false, ...later });
    expect(now).not.toHaveProperty('deliverAtMs');
    const [record] = await site.stored(0, site.timers.name(TENANT));
    expect(record).toMatchObject({
      ...{ topic: TOPIC, key: RIGHT, principal: 'user:ann', destinations: [] },
      handling: { ...later, policyRevision: POLICY_REVISION },
    });
    expect(idsOf([...(await site.stored(0)), ...(await site.stored(1))])).toEqual(['n']);
    expect(await site.counted('accepted', { class: 'durable' })).toBe(2);
    expect(site.ledger.topics(TENANT)).toMatchObject([{ events: 1 }]);
    expect(site.journal.find(TENANT, 't')).toEqual([]);
  });

  it('are known again by their ids, and then do not tell a time', async () => {
    const site = await open();
    await site.publish([item({ id: '1' }, later)]);
    const [again] = await site.publish([item({ id: '1' }, { deliverAtMs: NOW + 2 * HOUR_MS })]);
    expect(again).toMatchObject({ position: 1, duplicate: true });
    expect(again).not.toHaveProperty('deliverAtMs');
  });

  it('are refused when as many wait as may, and what is for now is not', async () => {
    const site = await open({ partitions: 1, pendingMax: 2 });
    const items = some(4, (index) => (index < 3 ? later : {}));
    const outcomes = await site.publish(items);
    expect(outcomes.map(told)).toEqual(['0/1', '0/2', 'TIMERS_FULL', '0/1']);
    expect(outcomes[2]).toMatchObject({ details: { limit: '2 scheduled events' } });
  });

  it('give their places back when they are not stored', async () => {
    const site = await open();
    await site.publish([item({ id: '1' }, later)]);
    // As one that was stored, and nothing else, knows it.
    const free = () => {
      const room = site.timers.room(TENANT);
      const taken = room.take({ upTo: 1, free: 1 });
      if (taken) room.give(1);
      return taken;
    };
    expect(free()).toBe(true);
    await site.publish([item({ id: '1' }, later)]);
    expect(free()).toBe(true);
    await site.store.close();
    expect(await site.publish([item({ id: '2' }, later)])).toEqual([expect.any(MeshError)]);
    expect(free()).toBe(true);
  });

  it('are refused alone when there is no log for them any more, and give their places back', async () => {
    const site = await open({ partitions: 1, pendingMax: 1 });
    await site.timers.stop();
    const outcomes = await site.publish([item({ id: '1' }, later), item({ id: '2' })]);
    expect(outcomes.map(told)).toEqual(['DRAINING', '0/1']);
    const [again] = await site.publish([item({ id: '1' }, later)]);
    expect(told(again)).toBe('DRAINING');
  });
});
