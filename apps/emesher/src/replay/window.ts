import type { ReplayOptions } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import { checkStartTime, startPositions, timePositions } from '../deliver/start-position.ts';

/** A part of one partition, both ends included; empty when `from` is above `to`. */
export interface Window {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/**
 * What a replay has to read of each partition. It never reaches beyond what is stored now, so every
 * lane has an end; positions that are gone belong to it, to be told of as gaps.
 *
 * @throws NotFound (`start`) when it begins behind an event that is not in this store;
 *   InvalidArgument (`start.timeMs`) when it begins at a time that has not come.
 */
export async function replayWindows(
  store: EventStore,
  log: string,
  { from, toMs }: ReplayOptions,
): Promise<Window[]> {
  checkStartTime(from, Date.now());
  const partitions = (await store.logInfo(log))?.partitions ?? [];
  const starts = await startPositions(store, log, from);
  const ends = toMs === 0 ? undefined : await timePositions(store, log, partitions, toMs);
  return partitions.map(({ partition, last }, index) => ({
    partition,
    from: starts[index] ?? last + 1,
    to: Math.min(last, (ends?.[index] ?? last + 1) - 1),
  }));
}
