import { describe, expect, it } from '@jest/globals';
import { NO_COUNTS, PartitionProgress, type PositionRange } from './index.ts';
import { CURSOR_FAILURES_MAX } from './progress.ts';

/** Opens positions up to `upTo` and settles all but those `kept`. */
function readTo(progress: PartitionProgress, upTo: number, kept: readonly number[]): void {
  for (let position = progress.next; position <= upTo; position = progress.next) {
    if (progress.wasSettled(position)) progress.advance(position);
    else {
      progress.open(position);
      if (!kept.includes(position)) progress.settle(position);
    }
  }
}

const restart = (floor: number, settled: readonly PositionRange[]) =>
  new PartitionProgress(0, floor, settled);

describe('the progress of a partition', () => {
  it('keeps what was settled before a restart until reading has passed it', () => {
    const settled = [
      { from: 5, to: 10 },
      { from: 12, to: 12 },
    ];
    const progress = restart(3, settled);
    readTo(progress, 4, [3]);
    expect(progress.take(10)).toMatchObject({
      floor: 3,
      settled: [{ from: 4, to: 10 }, settled[1]],
    });
    // In the middle of a range.
    readTo(progress, 7, [3]);
    expect(progress.take(10)).toMatchObject({
      floor: 3,
      settled: [{ from: 4, to: 10 }, settled[1]],
    });
    progress.settle(3);
    expect(progress.take(10)).toMatchObject({
      floor: 8,
      settled: [{ from: 8, to: 10 }, settled[1]],
    });
    readTo(progress, 13, [11]);
    expect(progress.take(10)).toMatchObject({ floor: 11, settled: [{ from: 12, to: 13 }] });
  });

  it('writes no more ranges than allowed; what does not fit is open again after a restart', () => {
    const progress = restart(1, []);
    const odd = Array.from({ length: 10 }, (_, at) => at * 2 + 1);
    readTo(progress, 20, odd);
    const { floor, settled } = progress.take(3);
    expect([floor, settled.map(({ from }) => from)]).toEqual([1, [2, 4, 6]]);
    const again = restart(floor, settled);
    const settledAgain = Array.from({ length: 20 }, (_, at) => at + 1).filter((position) =>
      again.wasSettled(position),
    );
    expect(settledAgain).toEqual([2, 4, 6]);
    // Also when the ranges are those from before.
    expect(restart(floor, settled).take(2).settled).toHaveLength(2);
  });

  it('keeps a bounded number of failures, and none of what is settled or gone', () => {
    const many = Array.from({ length: CURSOR_FAILURES_MAX + 10 }, (_, at) => [at + 1, 1] as const);
    const progress = new PartitionProgress(0, 1, [], { counters: NO_COUNTS, failures: many });
    expect(progress.take(1).state.failures).toHaveLength(CURSOR_FAILURES_MAX);
    progress.open(1);
    progress.open(2);
    progress.settle(1);
    progress.advance(CURSOR_FAILURES_MAX + 5);
    expect(progress.take(1).state.failures.map(([position]) => position)).toEqual([
      2,
      ...[6, 7, 8, 9, 10].map((behind) => CURSOR_FAILURES_MAX + behind),
    ]);
  });
});
