import { describe, expect, it } from '@jest/globals';
import { SUBSCRIPTION_DEFAULTS, type Subscription } from '@eventmesh/delivery';
import { LocalInterest } from '../control/local-interest.ts';
import type { CallerSession } from '../session.ts';
import { Resolver } from './resolve.ts';

const subscription = (deliveryClass: 'durable' | 'direct', topicFilter: string): Subscription => ({
  ...SUBSCRIPTION_DEFAULTS,
  name: `${deliveryClass} ${topicFilter}`,
  topicFilters: [topicFilter],
  deliveryClass,
  tenant: 't',
  owner: 'user:n',
  site: 'west',
  createdMs: 1,
  revision: 1,
  broadcastOf: '',
});

/** What is wanted of a topic, by class, with these subscriptions here and these sites elsewhere. */
function wanted(
  topic: string,
  here: readonly Subscription[],
  elsewhere: Partial<Record<'durable' | 'direct', string[]>> = {},
) {
  const interest = new LocalInterest();
  for (const each of here) interest.add(each);
  const resolver = new Resolver({
    site: 'west',
    routingVersion: () => 1,
    policyRevision: () => 1,
    destinations: (_tenant, _topic, deliveryClass) => elsewhere[deliveryClass] ?? [],
    reachable: () => true,
    localInterest: (...asked) => interest.wants(...asked),
    topicPolicy: () => undefined,
    topicCount: () => ({ topic, events: 0, lastTimeMs: 0 }),
  });
  const session = {
    principal: { tenant: 't', kind: 'user', name: 'n', roles: [] },
    grants: { revision: 1, canPublish: () => true },
    topics: new Map(),
  } as unknown as CallerSession;
  return resolver.resolve(session, topic).wanted;
}

describe('whether somebody wants a topic', () => {
  it.each<[string, ReturnType<typeof wanted>, boolean, boolean]>([
    ['nobody', wanted('a/b', []), false, false],
    ['a durable one here', wanted('a/b', [subscription('durable', 'a/#')]), true, false],
    ['a direct one here', wanted('a/b', [subscription('direct', 'a/#')]), false, true],
    ['one of another topic', wanted('a/b', [subscription('durable', 'b/#')]), false, false],
    ['a durable one elsewhere', wanted('a/b', [], { durable: ['east'] }), true, false],
    ['a direct one elsewhere', wanted('a/b', [], { direct: ['east'] }), false, true],
  ])('is told by the class of its events: %s', (_, found, durable, direct) => {
    expect(found).toEqual({ durable, direct });
  });

  it('goes with the last subscription of a class', () => {
    const interest = new LocalInterest();
    const one = subscription('direct', 'a/#');
    interest.add(one);
    interest.add({ ...one, name: 'another' });
    interest.remove(one);
    expect(interest.wants('t', 'a/b', 'direct')).toBe(true);
    interest.remove({ ...one, name: 'another' });
    expect(interest.wants('t', 'a/b', 'direct')).toBe(false);
  });
});
