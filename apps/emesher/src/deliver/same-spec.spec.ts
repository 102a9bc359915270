import { describe, expect, it } from '@jest/globals';
import { SUBSCRIPTION_DEFAULTS } from '@eventmesh/delivery';
import { sameSpec, specDifferences } from './same-spec.ts';

const spec = { ...SUBSCRIPTION_DEFAULTS, name: 'billing', topicFilters: ['orders/#'] };

describe('what of a subscription differs from what is asked for', () => {
  it.each([
    ['nothing', {}, []],
    ['a pause, which is no part of it', { paused: true }, []],
    ['a start, which is over', { start: { kind: 'earliest' as const } }, []],
    ['an equal list', { topicFilters: ['orders/#'] }, []],
    ['topic filters', { topicFilters: ['orders/+'] }, ['topicFilters']],
    [
      'a part of the retry policy, and the mode',
      { retry: { ...spec.retry, attemptsMax: 3 }, mode: 'exclusive' as const },
      ['mode', 'retry'],
    ],
  ])('is told: %s', (_, change, differing) => {
    const wanted = { ...spec, ...change };
    expect(specDifferences(spec, wanted)).toEqual(differing);
    expect(sameSpec(spec, wanted)).toBe(differing.length === 0);
  });
});
