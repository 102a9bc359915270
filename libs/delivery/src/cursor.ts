import { varintLength, type RecordView } from '@eventmesh/event';
import { markOf, orderedKey } from './key-id.ts';
import { MARK_BYTES, firstDueMs, type PartitionState } from './state.ts';

/** Both ends included. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

/** A partition's progress as it is written. */
export interface PartitionCursor {
  readonly partition: number;
  /** First position not settled. */
  readonly floor: number;
  /** Settled above the floor, rising; events of parked keys among them are not: see `state.parked`. */
  readonly settled: PositionRange[];
  readonly state: PartitionState;
}

/** Whether a cursor says that a record, which a subscription matches, is settled. */
export function isSettledBy(
  cursor: { readonly floor: number; readonly settled: readonly PositionRange[] },
  state: Pick<PartitionState, 'parked'> | undefined,
  position: number,
  record: RecordView,
): boolean {
  if (position < cursor.floor) return true;
  if (!cursor.settled.some(({ from, to }) => from <= position && position <= to)) return false;
  const parked = new Map(state?.parked.map(({ mark, from }) => [mark, from]));
  return !isParked(parked, position, record);
}

/** Whether an event is of one of these keys, at or behind its position. */
export function isParked(
  parked: ReadonlyMap<string, number>,
  position: number,
  record: RecordView,
): boolean {
  const key = orderedKey(record);
  if (key === undefined) return false;
  const from = parked.get(markOf(key));
  return from !== undefined && from <= position;
}

/** Roughly: what the counters need is left out, and the last digit does not matter. */
export function packedBytes(
  floor: number,
  settled: readonly PositionRange[],
  { failures, delays, parked }: PartitionState,
): number {
  let bytes = 0;
  let before = floor;
  for (const { from, to } of settled) {
    bytes += varintLength(from - before) + varintLength(to - from);
    before = to;
  }
  before = floor;
  for (const [position, count] of failures) {
    bytes += varintLength(Math.max(0, position - before)) + varintLength(count);
    before = position;
  }
  before = floor;
  const delaysFrom = firstDueMs(delays);
  for (const [position, dueMs] of delays) {
    bytes += varintLength(Math.max(0, position - before));
    bytes += varintLength(Math.ceil(dueMs) - delaysFrom);
    before = position;
  }
  before = floor;
  for (const { from } of parked) {
    bytes += MARK_BYTES + varintLength(Math.max(0, from - before));
    before = from;
  }
  return bytes;
}
