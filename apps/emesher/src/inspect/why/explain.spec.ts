import { describe, expect, it } from '@jest/globals';
import { NO_HANDLING } from '@eventmesh/event';
import type { EventStep } from '../journal.ts';
import { explain } from './explain.ts';
import type { Facts, HeldEvent } from './facts.ts';
import { nearestFilter } from './nearest-filter.ts';
import { stepsFor } from './steps-for.ts';
import { record, subscription } from './test/billing.ts';

const facts: Facts = {
  subscription,
  record,
  position: 7,
  place: { kind: 'settled' },
  steps: [],
  receives: true,
  past: undefined,
  filterProblem: undefined,
  nowMs: 10_000,
};
const held = (more: Partial<HeldEvent>): Facts['place'] => ({
  kind: 'held',
  state: 'ready',
  attempts: 0,
  failures: 0,
  reason: '',
  consumer: '',
  dueMs: 0,
  ahead: 0,
  ...more,
});
const step = (name: string, detail = '', timeUs = 5): EventStep => ({
  timeUs,
  step: name,
  subject: 'billing',
  detail,
  partition: 0,
  position: 7,
});
const STUCK = {
  topic: 'orders/eu',
  key: 'k',
  consumer: '',
  heldMs: 0,
  waiting: 1,
  parked: 1,
  failures: 0,
};
const accepted = [step('delivered', 'to c1', 3), step('settled', 'accept', 4)];
const taken = [step('delivered', 'to c1', 3), step('settled', 'release', 4)];

describe('why', () => {
  it.each<[string, Partial<Facts>, object]>([
    [
      'an accepted event was delivered, when, and to whom',
      { steps: [...taken, step('delivered', 'to c2'), step('settled', 'accept', 9)] },
      { state: 'delivered', consumer: 'c2', attempts: 2, timeUs: 9 },
    ],
    [
      'what was seen to happen counts more than what the subscription asks for now',
      {
        steps: [step('settled', 'accept')],
        subscription: { ...subscription, topicFilters: ['x'] },
      },
      { state: 'delivered' },
    ],
    [
      'a dead letter says its cause',
      { steps: [...taken, step('dead-lettered', 'too many attempts')] },
      { state: 'dead-lettered', reason: expect.stringContaining('too many attempts'), attempts: 1 },
    ],
    [
      'it was given up and not kept',
      { steps: [...taken, step('dropped', 'bad')], record: { ...record, expiryMs: 9000 } },
      { state: 'dropped', reason: 'given up, and not kept: bad', attempts: 1, consumer: 'c1' },
    ],
    [
      'it expired after a delivery',
      { steps: [...taken, step('expired', 'its last delivery failed: bad')] },
      {
        state: 'expired',
        reason: 'its life ended before it was settled; its last delivery failed: bad',
        attempts: 1,
        consumer: 'c1',
      },
    ],
    [
      'its owner had no right when its turn came',
      { steps: [step('forbidden')], past: { revision: 7, received: true } },
      {
        state: 'forbidden',
        reason:
          'user:ann, its owner, had no grant to subscribe to "orders/eu" when its turn came, ' +
          'and had one when it was admitted (grants revision 7), and has one now',
      },
    ],
    [
      'its owner had no right when its turn came, nor has it now',
      { steps: [step('forbidden')], receives: false },
      {
        state: 'forbidden',
        reason: 'user:ann, its owner, has no grant to subscribe to "orders/eu"',
      },
    ],
    [
      'it was accepted, and is to be read again since the subscription was moved back',
      { steps: accepted, place: { kind: 'unread', lag: 3, consumers: 0 } },
      {
        state: 'not-read',
        reason: 'not read yet: nobody consumes it now; earlier: accepted by c1',
        consumer: '',
      },
    ],
    [
      'it was accepted, and is out again with somebody else',
      {
        steps: [...accepted, step('delivered', 'to c2', 8)],
        place: held({ state: 'out', consumer: 'c2', attempts: 1 }),
      },
      {
        state: 'out',
        reason: 'out with c2, which has not settled it; earlier: accepted by c1',
        consumer: 'c2',
        timeUs: 8,
      },
    ],
    [
      'it was given up before, and waits behind its key now',
      { steps: [step('dead-lettered', 'bad')], place: { kind: 'parked', stuck: STUCK } },
      {
        state: 'key',
        reason: expect.stringMatching(/; earlier: bad; it was put among the dead letters$/),
      },
    ],
    [
      'it was accepted before the subscription was moved on behind it',
      { steps: accepted, place: { kind: 'before-start', start: 'position 9' } },
      { state: 'delivered' },
    ],
    [
      'it is out with a consumer since then',
      { place: held({ state: 'out', consumer: 'c1', attempts: 1, dueMs: 12_000 }), steps: taken },
      { state: 'out', consumer: 'c1', timeUs: 3, nextMs: 12_000 },
    ],
    [
      'it waits for its next try',
      { place: held({ state: 'later', failures: 2, attempts: 3, dueMs: 11_500, reason: 'nope' }) },
      {
        state: 'backoff',
        attempts: 3,
        nextMs: 11_500,
        reason: '2 of 16 failures: nope; tried again in 1500 ms',
      },
    ],
    ['it waits for its key', { place: held({ ahead: 2 }) }, { state: 'key' }],
    [
      'its key is stuck, and it waits in the store',
      {
        place: {
          kind: 'parked',
          stuck: { ...STUCK, consumer: 'c1', heldMs: 4000, waiting: 90, parked: 80, failures: 2 },
        },
      },
      {
        state: 'key',
        consumer: 'c1',
        reason:
          'key "k" is stuck: its first event is out with c1, 2 failures, for 4000 ms; 90 wait behind, 80 of them in the store',
      },
    ],
    [
      'a filter says no to an event of a stuck key',
      { place: { kind: 'parked', stuck: STUCK }, filterProblem: 'filters[0] says no' },
      { state: 'filtered' },
    ],
    [
      'reading has stopped',
      { place: { kind: 'unread', lag: 3, consumers: 1, stopped: 'keys' } },
      { state: 'not-read', reason: expect.stringContaining('delivery.parkedKeysMax') },
    ],
    [
      'its letter is being written',
      { place: held({ state: 'dead', reason: 'no' }) },
      { state: 'burying' },
    ],
    ['it waits for credit', { place: held({}) }, { state: 'ready' }],
    [
      'it has failed and is due',
      { place: held({ failures: 3 }) },
      { state: 'ready', reason: expect.stringContaining('room in the window of retries') },
    ],
    [
      'acl cannot tell',
      { place: held({}), receives: undefined },
      { state: 'ready', reason: expect.stringContaining('acl cannot tell') },
    ],
    [
      'the subscription is paused with it in hand',
      { place: held({}), subscription: { ...subscription, paused: true } },
      { state: 'paused' },
    ],
    [
      'no topic filter matches',
      { subscription: { ...subscription, topicFilters: ['invoices/#', 'orders/us/#'] } },
      {
        state: 'filtered',
        reason:
          'no topic filter matches "orders/eu"; the nearest, "orders/us/#": it asks for "us" at level 2, the topic has "eu"',
      },
    ],
    [
      'a filter says no',
      { filterProblem: 'filters[0] says no' },
      { state: 'filtered', reason: 'filters[0] says no' },
    ],
    [
      'it only passes through',
      { record: { ...record, transit: true, destinations: ['north'] } },
      { state: 'filtered', reason: 'only on its way through this site to north' },
    ],
    [
      'it was redriven to another',
      { record: { ...record, handling: { ...NO_HANDLING, onlySubscription: 'other' } } },
      { state: 'filtered', reason: expect.stringContaining('"other" alone') },
    ],
    [
      'direct subscriptions get no durable events',
      { subscription: { ...subscription, deliveryClass: 'direct' } },
      { state: 'filtered', reason: expect.stringContaining('direct') },
    ],
    [
      'the owner has no grant',
      { receives: false },
      {
        state: 'forbidden',
        reason: 'user:ann, its owner, has no grant to subscribe to "orders/eu"',
      },
    ],
    [
      'the owner had no grant when it was admitted, and has one now',
      { past: { revision: 7, received: false } },
      {
        state: 'forbidden',
        reason:
          'user:ann, its owner, had no grant to subscribe to "orders/eu" when it was admitted ' +
          '(grants revision 7), and has one now',
      },
    ],
    [
      'the owner had no grant when it was admitted, and acl is away now',
      { past: { revision: 7, received: false }, receives: undefined },
      { state: 'forbidden', reason: expect.stringMatching(/\(grants revision 7\)$/) },
    ],
    [
      'the owner had a grant when it was admitted: it may have been settled before that ended',
      { past: { revision: 7, received: true }, receives: false },
      { state: 'settled', reason: expect.stringContaining('grants revision 7), and has none now') },
    ],
    [
      'what is not read yet will be judged by the grants of now',
      {
        past: { revision: 7, received: true },
        receives: false,
        place: { kind: 'unread', lag: 3, consumers: 1 },
      },
      {
        state: 'forbidden',
        reason:
          'user:ann, its owner, has no grant to subscribe to "orders/eu" any more, and had one ' +
          'when it was admitted (grants revision 7)',
      },
    ],
    [
      'what is not read yet is not forbidden by what was',
      {
        past: { revision: 7, received: false },
        place: { kind: 'unread', lag: 3, consumers: 1 },
      },
      { state: 'not-read' },
    ],
    [
      'it lies before the start',
      { place: { kind: 'before-start', start: 'position 9' } },
      { state: 'before-start' },
    ],
    [
      'it is not read yet',
      { place: { kind: 'unread', lag: 3, consumers: 1 } },
      { state: 'not-read', reason: 'not read yet: it is 3 records behind' },
    ],
    [
      'nobody consumes',
      { place: { kind: 'unread', lag: 3, consumers: 0 } },
      { state: 'not-read', reason: 'not read yet: nobody consumes it now' },
    ],
    [
      'nobody consumes the broadcast',
      { place: { kind: 'no-part' } },
      { state: 'not-read', reason: 'no consumer has a part of the broadcast to get it' },
    ],
    [
      'nobody consumes the broadcast, which is for other topics',
      { place: { kind: 'no-part' }, subscription: { ...subscription, topicFilters: ['x'] } },
      { state: 'filtered' },
    ],
    [
      'paused before it was read',
      {
        place: { kind: 'unread', lag: 3, consumers: 0 },
        subscription: { ...subscription, paused: true },
      },
      { state: 'paused' },
    ],
    [
      'its life has ended while the subscription is paused',
      {
        record: { ...record, expiryMs: 9000 },
        place: { kind: 'unread', lag: 3, consumers: 0 },
        subscription: { ...subscription, paused: true },
      },
      {
        state: 'expired',
        reason: 'paused, and 3 records behind; its life has ended meanwhile',
        timeUs: 9_000_000,
      },
    ],
    [
      'its life has ended while it waits for credit',
      { record: { ...record, expiryMs: 9000 }, place: held({}) },
      {
        state: 'expired',
        reason: 'waits for a consumer with credit; its life has ended meanwhile',
      },
    ],
    [
      'its life has ended while a consumer has it, which may still settle it',
      {
        record: { ...record, expiryMs: 9000 },
        place: held({ state: 'out', consumer: 'c1', attempts: 1 }),
      },
      { state: 'out' },
    ],
    [
      'it expired',
      { record: { ...record, expiryMs: 9000 } },
      { state: 'expired', timeUs: 9_000_000 },
    ],
    [
      'it expired before it was read',
      { record: { ...record, expiryMs: 9000 }, place: { kind: 'unread', lag: 1, consumers: 0 } },
      { state: 'expired' },
    ],
    ['how it ended is forgotten', {}, { state: 'settled' }],
    [
      'how it ended after a delivery is forgotten, and its life has ended since',
      { steps: taken, record: { ...record, expiryMs: 9000 } },
      { state: 'settled', attempts: 1 },
    ],
  ])('%s', (_, more, expected) => {
    expect(explain({ ...facts, ...more })).toMatchObject(expected);
  });
});

describe('the nearest topic filter', () => {
  it.each([
    [['a/b/c'], 'a/b', 'a/b/c', 'it asks for a level 3, "c", which the topic has not'],
    [['a/b'], 'a/b/c', 'a/b', 'it ends after level 2, the topic goes on with "c"'],
    [['#'], '$sys/a', '#', 'a wildcard in the first level does not match a topic of `$`'],
    [['x', 'a/+/d', 'a'], 'a/b/c', 'a/+/d', 'it asks for "d" at level 3, the topic has "c"'],
  ])('of %j for %s', (filters, topic, filter, parts) => {
    expect(nearestFilter(filters, topic)).toEqual({ filter, parts });
  });
});

describe('what is remembered of an event for a subscription', () => {
  const name = subscription.name;
  const more = (of: Partial<EventStep>) => ({ ...step('settled', 'accept', 5000), ...of });

  it('is about what was done with it, and not about a link of the same name', () => {
    const own = more({});
    const steps = [own, more({ subject: 'other' }), more({ step: 'link-accepted' })];
    expect(stepsFor({ name, createdMs: 1 }, steps)).toEqual([own]);
  });

  it('is not what an earlier subscription of its name did', () => {
    const steps = [more({ timeUs: 1_999_999 }), more({ timeUs: 2_000_000 })];
    expect(stepsFor({ name, createdMs: 2000 }, steps)).toEqual(steps.slice(1));
  });
});
