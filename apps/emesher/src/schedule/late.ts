import { LatePolicy } from '@eventmesh/proto-gen/event';

export type LateOutcome = 'fire' | 'fire-late' | 'skip' | 'dead-letter';

/** What to do with a timer that has come due. */
export function whenDue(
  dueMs: number,
  nowMs: number,
  toleranceMs: number,
  policy: number,
): LateOutcome {
  if (nowMs - dueMs <= toleranceMs) return 'fire';
  switch (policy) {
    case LatePolicy.SKIP:
      return 'skip';
    case LatePolicy.DEAD_LETTER:
      return 'dead-letter';
    default:
      return 'fire-late';
  }
}

const WIRE = Object.freeze({
  fire: LatePolicy.FIRE,
  skip: LatePolicy.SKIP,
  'dead-letter': LatePolicy.DEAD_LETTER,
});

export const latePolicyToWire = (policy: keyof typeof WIRE | undefined): LatePolicy =>
  policy === undefined ? LatePolicy.UNSPECIFIED : WIRE[policy];

export const latePolicyFromWire = (policy: number): keyof typeof WIRE =>
  policy === LatePolicy.SKIP ? 'skip' : policy === LatePolicy.DEAD_LETTER ? 'dead-letter' : 'fire';
