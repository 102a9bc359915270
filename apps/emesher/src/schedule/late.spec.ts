import { describe, expect, it } from '@jest/globals';
import { LatePolicy } from '@eventmesh/proto-gen/event';
import { latePolicyFromWire, latePolicyToWire, whenDue } from './late.ts';

const TOLERANCE = 60_000;

describe('a timer that has come due', () => {
  it.each([
    ['in time', 0, LatePolicy.SKIP, 'fire'],
    ['at the end of the tolerance', TOLERANCE, LatePolicy.SKIP, 'fire'],
    ['late, without a policy', TOLERANCE + 1, LatePolicy.UNSPECIFIED, 'fire-late'],
    ['late, to fire', TOLERANCE + 1, LatePolicy.FIRE, 'fire-late'],
    ['late, to skip', TOLERANCE + 1, LatePolicy.SKIP, 'skip'],
    ['late, to dead-letter', TOLERANCE + 1, LatePolicy.DEAD_LETTER, 'dead-letter'],
    ['late, with a policy of a newer release', TOLERANCE + 1, 99, 'fire-late'],
    ['by a clock that went back', -5000, LatePolicy.SKIP, 'fire'],
  ])('%s', (_, lateMs, policy, outcome) => {
    expect(whenDue(1_000_000, 1_000_000 + lateMs, TOLERANCE, policy)).toBe(outcome);
  });

  it('keeps its policy on the way through the log', () => {
    for (const policy of ['fire', 'skip', 'dead-letter'] as const) {
      expect(latePolicyFromWire(latePolicyToWire(policy))).toBe(policy);
    }
    expect(latePolicyFromWire(latePolicyToWire(undefined))).toBe('fire');
  });
});
