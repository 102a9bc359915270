import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { checkSubscription, type Subscription } from '@eventmesh/delivery';
import { SubscriptionSchema } from '@eventmesh/proto-gen/subscriber';
import { partToProto, subscriptionToProto } from '@eventmesh/wire';
import { SubscriptionBook } from './subscription-book.ts';

const whole = (
  createdMs: number,
  revision: number,
  more: Partial<Subscription> = {},
): Subscription => ({
  ...checkSubscription({ name: 'all', topicFilters: ['a'], mode: 'broadcast' }),
  ...{ tenant: 't', owner: 'user:u', site: 'west', createdMs, revision, broadcastOf: '' },
  ...more,
});

const kept = (
  wholeCreatedMs: number,
  revision: number,
  more: { paused?: boolean; consumer?: string } = {},
) => {
  const { paused = false, consumer = 'c' } = more;
  const proto = partToProto({
    ...{ tenant: 't', name: `all:${consumer}`, owner: 'user:u', site: 'west', broadcastOf: 'all' },
    ...{ start: { kind: 'latest' }, ephemeral: false, createdMs: 5 },
    part: { wholeCreatedMs, paused, revision: 0 },
  });
  return create(SubscriptionSchema, { ...proto, revision: BigInt(revision) });
};

/** A book with what it was told, and what it said of that. */
function book() {
  const said: string[] = [];
  const of = new SubscriptionBook(({ type, subscription: { name, revision } }) =>
    said.push(`${type} ${name} ${revision}`),
  );
  return {
    of,
    put: (subscription: Subscription) =>
      of.take(create(SubscriptionSchema, subscriptionToProto(subscription))),
    part: (...args: Parameters<typeof kept>) => of.take(kept(...args)),
    get: (name: string) => of.subscriptions.get(`t/${name}`),
    said: () => said.splice(0),
  };
}

describe('a part of a broadcast', () => {
  it.each(['the whole', 'the part'])('is as its whole is when %s comes first', (first) => {
    const { put, part, get, of, said } = book();
    if (first === 'the whole') put(whole(1, 10));
    part(1, 20);
    if (first === 'the part') put(whole(1, 10));
    expect(get('all:c')).toMatchObject({ topicFilters: ['a'], mode: 'shared', revision: 20 });
    expect(of.partsOf({ tenant: 't', name: 'all' }).map(({ name }) => name)).toEqual(['all:c']);
    expect(said()).toEqual(['made all 10', 'made all:c 20']);
  });

  it('changes with one change of its whole, and is told behind it', () => {
    const { put, part, get, said } = book();
    put(whole(1, 10));
    part(1, 20);
    part(1, 21, { consumer: 'd' });
    said();
    put(whole(1, 30, { topicFilters: ['b'], paused: true, ordered: true }));
    for (const name of ['all:c', 'all:d']) {
      expect(get(name)).toMatchObject({ topicFilters: ['b'], paused: true, ordered: true });
    }
    expect(said()).toEqual(['changed all 30', 'changed all:c 30', 'changed all:d 30']);
  });

  it('is paused by its own name or with its whole', () => {
    const { put, part, get } = book();
    put(whole(1, 10));
    part(1, 20);
    part(1, 30, { paused: true });
    expect([get('all')?.paused, get('all:c')?.paused]).toEqual([false, true]);
    put(whole(1, 40, { paused: true }));
    put(whole(1, 50));
    expect([get('all')?.paused, get('all:c')?.paused]).toEqual([false, true]);
    part(1, 60);
    expect(get('all:c')).toMatchObject({ paused: false, revision: 60 });
  });

  it('is not there without its whole', () => {
    const { put, part, get, of, said } = book();
    put(whole(1, 10));
    part(1, 20);
    said();
    of.delete('t/all');
    expect([...of.subscriptions.keys()]).toEqual([]);
    expect(said()).toEqual(['deleted all 10', 'deleted all:c 20']);
    part(1, 30);
    expect(get('all:c')).toBeUndefined();
    expect(said()).toEqual([]);
  });

  it('of an earlier whole is not there when there is another one of that name', () => {
    const { put, part, get, of, said } = book();
    put(whole(1, 10));
    part(1, 20);
    said();
    // The delete in between was never told.
    put(whole(2, 30, { topicFilters: ['new'] }));
    expect(get('all:c')).toBeUndefined();
    expect(said()).toContain('deleted all:c 20');
    expect(of.partsOf({ tenant: 't', name: 'all' })).toEqual([]);
    part(2, 40);
    expect(get('all:c')).toMatchObject({ topicFilters: ['new'], revision: 40 });
    expect(said()).toEqual(['made all:c 40']);
  });

  it('that takes the place of an earlier one is another one', () => {
    const { put, part, said } = book();
    put(whole(1, 10));
    part(1, 20);
    said();
    part(2, 40);
    put(whole(2, 30));
    expect(said()).toEqual(['deleted all:c 20', 'changed all 30', 'made all:c 40']);
  });

  it('that is older than what is known changes nothing', () => {
    const { put, part, get, said } = book();
    put(whole(1, 30));
    part(1, 20, { paused: true });
    said();
    part(1, 19);
    put(whole(1, 29, { topicFilters: ['b'] }));
    expect(get('all:c')).toMatchObject({ topicFilters: ['a'], paused: true, revision: 30 });
    expect(said()).toEqual([]);
  });

  it('goes by itself', () => {
    const { put, part, of, said } = book();
    put(whole(1, 10));
    part(1, 20);
    said();
    of.delete('t/all:c');
    expect([...of.subscriptions.keys()]).toEqual(['t/all']);
    expect(said()).toEqual(['deleted all:c 20']);
    put(whole(1, 30));
    expect(said()).toEqual(['changed all 30']);
  });

  it('is learned from another emesher as from the registry', () => {
    const { put, part, get, of } = book();
    put(whole(1, 10));
    part(1, 20);
    const [told] = of.partsOf({ tenant: 't', name: 'all' });
    const other = book();
    other.put(whole(1, 10));
    if (told !== undefined) other.of.learn(told);
    expect(other.get('all:c')).toEqual(get('all:c'));
  });
});

describe('what is wanted at the site', () => {
  const wants = (of: SubscriptionBook, topic: string) => of.interest.wants('t', topic, 'durable');

  it('is what the wholes want, and nothing that they wanted before', () => {
    const { put, part, of } = book();
    put(whole(1, 10));
    part(1, 20);
    put(whole(1, 30, { topicFilters: ['b'] }));
    expect([wants(of, 'a'), wants(of, 'b')]).toEqual([false, true]);
    of.delete('t/all');
    expect([wants(of, 'a'), wants(of, 'b')]).toEqual([false, false]);
    part(1, 40);
    expect(wants(of, 'a')).toBe(false);
  });
});
