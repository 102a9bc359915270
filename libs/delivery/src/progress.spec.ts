import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_COUNTS, PartitionProgress, isSettledBy, type PositionRange } from './index.ts';
import { markOf } from './key-id.ts';
import { decodeState, encodeState, type PartitionState } from './state.ts';
import { recordOf } from './test/rig.ts';

const record = (key = '') => recordOf({ key, ingressMs: 0, expiryMs: 0 });
const NONE = record();

/** Opens positions up to `upTo` and settles all but those `kept`. */
function readTo(progress: PartitionProgress, upTo: number, kept: readonly number[]): void {
  for (let position = progress.next; position <= upTo; position = progress.next) {
    if (progress.wasSettled(position, NONE)) progress.advance(position);
    else {
      progress.open(position);
      if (!kept.includes(position)) progress.settle(position);
    }
  }
}

const restart = (floor: number, settled: readonly PositionRange[], state?: PartitionState) =>
  new PartitionProgress(0, floor, settled, state);

describe('the progress of a partition', () => {
  it('keeps what was settled before a restart until reading has passed it', () => {
    const settled = [
      { from: 5, to: 10 },
      { from: 12, to: 12 },
    ];
    const progress = restart(3, settled);
    readTo(progress, 4, [3]);
    expect(progress.take(0)).toMatchObject({
      floor: 3,
      settled: [{ from: 4, to: 10 }, settled[1]],
    });
    // In the middle of a range.
    readTo(progress, 7, [3]);
    expect(progress.take(0)).toMatchObject({
      floor: 3,
      settled: [{ from: 4, to: 10 }, settled[1]],
    });
    progress.settle(3);
    expect(progress.take(0)).toMatchObject({
      floor: 8,
      settled: [{ from: 8, to: 10 }, settled[1]],
    });
    readTo(progress, 13, [11]);
    expect(progress.take(0)).toMatchObject({ floor: 11, settled: [{ from: 12, to: 13 }] });
  });

  it('is written without its delays while they would make it larger than a store takes', () => {
    const progress = restart(1, []);
    const many = 150_000;
    for (let position = 1; position <= many; position++) {
      progress.open(position);
      progress.notes.failed(position, 1);
      progress.notes.delayed(position, 1e12 + ((position * 7919) % 4e7));
    }
    const large = progress.take(0).state;
    expect(large).toMatchObject({ delays: [], failures: { length: many } });
    const base64Bytes = (encodeState(large).length * 4) / 3;
    expect(base64Bytes).toBeLessThan(1024 * 1024);
    // Counted all the same, so that reading stops.
    expect(progress.cursorBytes).toBeGreaterThan(1024 * 1024 * (3 / 4));
    for (let position = 1; position <= many - 2; position++) progress.settle(position);
    expect(progress.take(0).state.delays.map(([position]) => position)).toEqual([many - 1, many]);
  });

  it('forgets none of many settled ranges, nor of many failures', () => {
    const progress = restart(1, []);
    const odd = Array.from({ length: 50_000 }, (_, at) => at * 2 + 1);
    for (const position of odd) {
      progress.open(position);
      progress.notes.failed(position, 2);
      progress.advance(position + 1);
    }
    const { floor, settled, state } = progress.take(0);
    expect([floor, settled.length, state.failures.length]).toEqual([1, 50_000, 50_000]);
    // Two bytes for a range, two for a failure.
    expect(progress.cursorBytes).toBe(200_000);
    expect(encodeState(state).length).toBeLessThan(100_300);
    const again = restart(floor, settled, decodeState(encodeState(state)));
    expect(again.notes.failures(99_999)).toBe(2);
    for (const position of odd) {
      expect(again.wasSettled(position, NONE)).toBe(false);
      expect(again.wasSettled(position + 1, NONE)).toBe(true);
    }
  });

  it('keeps when something may go out until then, and for a day at most', () => {
    const progress = restart(1, []);
    for (const position of [1, 2, 3]) progress.open(position);
    progress.notes.delayed(1, 5000);
    progress.notes.delayed(2, 9000);
    progress.notes.delayed(3, 9000);
    progress.settle(3);
    const { state } = progress.take(4999);
    expect(state.delays).toEqual([
      [1, 5000],
      [2, 9000],
    ]);
    const again = restart(1, [], decodeState(encodeState(state)));
    expect([1, 2, 3].map((position) => again.notes.dueMs(position, 4999))).toEqual([5000, 9000, 0]);
    // A clock that was far ahead, or has been set back since.
    expect(again.notes.dueMs(2, -86_400_000)).toBe(0);
    expect(progress.take(5000).state.delays).toEqual([[2, 9000]]);
  });

  it('is to be written after each failure or delay, until it is taken', () => {
    const progress = restart(1, []);
    progress.open(1);
    const { notes } = progress;
    for (const note of [() => notes.failed(1, 1), () => notes.delayed(1, 5000)]) {
      progress.take(0);
      expect(progress.dirty).toBe(false);
      note();
      expect(progress.dirty).toBe(true);
    }
  });

  it('keeps no failures of what is settled or gone', () => {
    const failures = [1, 2, 3, 9].map((position) => [position, 1] as const);
    const state = { counters: NO_COUNTS, failures, delays: [], parked: [], parkedEvents: 0 };
    const progress = restart(1, [], state);
    progress.open(1);
    progress.open(2);
    progress.settle(1);
    progress.advance(5);
    expect(progress.take(0).state.failures).toEqual([
      [2, 1],
      [9, 1],
    ]);
  });

  it('is written the less often the larger its cursor is', () => {
    const progress = restart(1, []);
    for (let position = 1; position <= 200_000; position += 2) {
      progress.open(position);
      progress.advance(position + 1);
    }
    expect(progress.isDue(5000)).toBe(true);
    progress.take(5000);
    expect(progress.cursorBytes).toBe(200_000);
    expect([5199, 5200, 4000].map((now) => progress.isDue(now))).toEqual([false, true, true]);
  });

  it('knows up to where it was looked at before a restart, also when reading has not come there yet', () => {
    const progress = restart(1, []);
    readTo(progress, 5, [2, 4, 5]);
    const { floor, settled, state } = progress.take(0);
    const again = restart(floor, settled, decodeState(encodeState(state)));
    expect([again.countedUpTo, again.lookedUpTo]).toEqual([3, 5]);
    readTo(again, 2, [2]);
    const then = again.take(0);
    expect(restart(then.floor, then.settled, then.state).lookedUpTo).toBe(5);
    expect(restart(3, [{ from: 4, to: 7 }]).lookedUpTo).toBe(7);
  });

  it('tells events of a parked key by the key, over one restart and in the middle of the next', () => {
    const mark = markOf('a\0k');
    const parked = [{ mark, from: 6 }];
    const state = { counters: NO_COUNTS, failures: [], delays: [], parked, parkedEvents: 3 };
    const first = { floor: 2, settled: [{ from: 3, to: 10 }] };
    const settledBy = (cursor: typeof first, kept: PartitionState, position: number, key: string) =>
      isSettledBy(cursor, kept, position, record(key));
    expect([1, 2, 5, 6, 10, 11].map((at) => settledBy(first, state, at, 'k'))).toEqual([
      ...[true, false, true, false, false, false],
    ]);
    expect(settledBy(first, state, 6, 'other')).toBe(true);

    const progress = restart(first.floor, first.settled, state);
    for (const position of [2, 3, 4, 5, 6, 7]) {
      // 6 is of the key, and settled now; 7 is of another one, and was settled before.
      if (progress.wasSettled(position, record(position === 6 ? 'k' : 'other'))) {
        progress.advance(position);
      } else progress.open(position);
    }
    progress.settle(6);
    const { floor, settled, state: then } = progress.take(0);
    expect({ floor, settled }).toEqual(first);
    expect(then.parked).toEqual([{ mark, from: 8 }]);
    expect(then.parkedEvents).toBe(2);
  });
});

describe('the state in a cursor', () => {
  it('comes back as it was', () => {
    const rising = (to: number) =>
      fc.uniqueArray(fc.nat(to), { maxLength: 20 }).map((all) => all.sort((a, b) => a - b));
    const states = fc.record({
      failures: rising(Number.MAX_SAFE_INTEGER).map((all) => all.map((at) => [at, at] as const)),
      parked: rising(2 ** 40).map((all) => all.map((from) => ({ mark: markOf(`${from}`), from }))),
      delays: rising(2 ** 40).map((all) => all.map((at) => [at, 1e12 + (at % 9e7)] as const)),
      parkedEvents: fc.nat(),
    });
    fc.assert(
      fc.property(states, (given) => {
        const state = { ...given, counters: { ...NO_COUNTS, delivered: 3 }, start: 7 };
        expect(decodeState(encodeState(state))).toEqual(state);
      }),
    );
  });

  it('of an earlier build keeps its books', () => {
    const old = { counters: { ...NO_COUNTS, expired: 2 }, failures: [[3, 1]], start: 5 };
    expect(decodeState(Buffer.from(JSON.stringify(old)))).toEqual({
      counters: old.counters,
      failures: [],
      delays: [],
      parked: [],
      parkedEvents: 0,
      start: 5,
    });
  });
});
