import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { changedSpec, type SubscriptionChange } from './change.ts';
import { checkSubscription, type SubscriptionInput } from './subscription.ts';

const there = checkSubscription({
  name: 's',
  topicFilters: ['a'],
  filters: [{ prefix: { type: 'x' } }],
  start: { kind: 'earliest' },
  retry: { kind: 'linear', delayMs: 700, attemptsMax: 5 },
  ackTimeoutMs: 5000,
  ordered: true,
  paused: true,
  deadLetter: false,
});

describe('a change of a subscription', () => {
  it.each<[string, Omit<SubscriptionChange, 'name'>, Partial<SubscriptionInput>]>([
    ['nothing', {}, {}],
    ['topic filters', { topicFilters: ['b', 'c'] }, { topicFilters: ['b', 'c'] }],
    ['filters', { filters: [] }, { filters: [] }],
    [
      'one thing of the retries',
      { retry: { attemptsMax: 4 } },
      { retry: { ...there.retry, attemptsMax: 4 } },
    ],
    ['order', { ordered: false }, { ordered: false }],
    ['the pause', { paused: false }, { paused: false }],
    ['a revision, which is no setting', { revision: 7 }, {}],
    ['a start, which a seek moves', { start: { kind: 'latest' } }, {}],
  ])('of %s leaves all else', (_, change, wanted) => {
    expect(changedSpec(there, { name: 's', ...change })).toEqual({ ...there, ...wanted });
  });

  it('of what is there and undefined is none', () => {
    const given = { name: 's', ordered: undefined, retry: { kind: undefined } };
    expect(changedSpec(there, given as unknown as SubscriptionChange)).toEqual(there);
  });

  it.each<[string, Omit<SubscriptionChange, 'name'>]>([
    ['topicFilters', { topicFilters: [] }],
    ['retry.attemptsMax', { retry: { attemptsMax: 0 } }],
    ['retry.delayMaxMs', { retry: { delayMaxMs: 699 } }],
    ['ackTimeoutMs', { ackTimeoutMs: 1 }],
  ])('that is not valid is refused and names %s', (field, change) => {
    const refuse = () => changedSpec(there, { name: 's', ...change });
    expect(refuse).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ field }) }),
    );
  });

  it('comes to the same in whatever order changes of other settings come', () => {
    const settings = fc.record(
      {
        ordered: fc.boolean(),
        paused: fc.boolean(),
        ackTimeoutMs: fc.integer({ min: 1000, max: 9999 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(settings, fc.integer({ min: 1, max: 9 }), (one, attemptsMax) => {
        const [a, b] = [
          { name: 's', ...one },
          { name: 's', retry: { attemptsMax } },
        ];
        expect(changedSpec(changedSpec(there, a), b)).toEqual(
          changedSpec(changedSpec(there, b), a),
        );
      }),
    );
  });
});
