import { checkStart, type Start } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, decodeRecord } from '@eventmesh/event';
import type { EventStore, PartitionInfo } from '@eventmesh/store-api';

/**
 * The first position of each partition that a start means. When records that the start asks for are
 * gone it is the first of them, so that whoever reads from there is told of the gap.
 *
 * @throws NotFound (`start`) when it names an event that is no longer, or never was, in this store;
 *   InvalidArgument when it names a partition that is not there or a position beyond the next one.
 */
export async function startPositions(
  store: EventStore,
  log: string,
  start: Start,
): Promise<number[]> {
  const partitions = (await store.logInfo(log))?.partitions ?? [];
  if (start.kind === 'after') return behindEvent(store, log, partitions, start);
  if (start.kind === 'position') checkPosition(partitions, start);
  return Promise.all(partitions.map((info) => startPosition(store, log, info, start)));
}

/** How far ahead a time may be that is taken as now, in ms: clocks differ. */
const AHEAD_MS_MAX = 5000;

/**
 * Nobody knows yet which position a time will have that has not come; beginning at the end instead
 * would deliver what was not asked for.
 *
 * @throws InvalidArgument (`start.timeMs`) when a start is more than 5 s ahead of the clock here, or no
 *   time that a date can be.
 */
export function checkStartTime(start: Start, nowMs: number): void {
  checkStart(start);
  if (start.kind !== 'time' || start.timeMs <= nowMs + AHEAD_MS_MAX) return;
  const time = new Date(start.timeMs).toISOString();
  throw invalid('start.timeMs', `${time} has not come; begin at latest, then`, {
    limit: `at most now, ${new Date(nowMs).toISOString()}`,
    reason: 'START_IN_FUTURE',
  });
}

/** What begins beyond the end would pass over events that are stored later, without a word. */
function checkPosition(
  partitions: readonly PartitionInfo[],
  start: Extract<Start, { kind: 'position' }>,
): void {
  if (partitions.length === 0) return;
  const there = partitions.find(({ partition }) => partition === start.partition);
  if (there === undefined) {
    const limit = `0 to ${partitions.length - 1}`;
    throw invalid('start.partition', `there is no partition ${start.partition}`, { limit });
  }
  if (start.position <= there.last + 1) return;
  const limit = `0 to ${there.last + 1}`;
  throw invalid('start.position', `${start.position} is beyond the end`, { limit });
}

async function startPosition(
  store: EventStore,
  log: string,
  info: PartitionInfo,
  start: Exclude<Start, { kind: 'after' }>,
): Promise<number> {
  switch (start.kind) {
    case 'earliest':
      return info.first;
    case 'latest':
      return info.last + 1;
    case 'position':
      if (start.partition !== info.partition) return info.last + 1;
      return start.position === 0 ? info.first : start.position;
    case 'time': {
      const found = await firstSince(store, log, info, start.timeMs);
      // Nobody can tell any more whether what is gone before it was stored since then, too.
      return found === info.first ? 1 : found;
    }
  }
}

/** The first record of each partition that was stored at or after a time, of what is still there. */
export function timePositions(
  store: EventStore,
  log: string,
  partitions: readonly PartitionInfo[],
  timeMs: number,
): Promise<number[]> {
  return Promise.all(partitions.map((info) => firstSince(store, log, info, timeMs)));
}

async function firstSince(
  store: EventStore,
  log: string,
  { partition, last }: PartitionInfo,
  timeMs: number,
): Promise<number> {
  const from = { kind: 'time', timeMs } as const;
  for await (const item of store.read({ log, partition, from, stopAtEnd: true })) {
    if (item.kind === 'opened') return item.position;
  }
  return last + 1;
}

/** In the event's own partition right behind it; in the others by the time of its acceptance. */
async function behindEvent(
  store: EventStore,
  log: string,
  partitions: readonly PartitionInfo[],
  wanted: { readonly source: string; readonly id: string },
): Promise<number[]> {
  for (const info of partitions) {
    const found = await findEvent(store, log, info, wanted);
    if (found === undefined) continue;
    return Promise.all(
      partitions.map(async (other) => {
        if (other === info) return found.position + 1;
        return firstSince(store, log, other, Math.floor(found.ingressTimeUs / 1000));
      }),
    );
  }
  throw new MeshError(
    'NotFound',
    `start: there is no event "${wanted.id}" of "${wanted.source}" in the store of this site`,
    { field: 'start', reason: 'EVENT_NOT_FOUND' },
  );
}

async function findEvent(
  store: EventStore,
  log: string,
  { partition, first }: PartitionInfo,
  wanted: { readonly source: string; readonly id: string },
): Promise<{ readonly position: number; readonly ingressTimeUs: number } | undefined> {
  const from = { kind: 'position', position: first } as const;
  for await (const item of store.read({ log, partition, from, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    for (const [index, bytes] of item.records.entries()) {
      const record = decodeRecord(bytes);
      const event = new EventView(record.event);
      if (event.id !== wanted.id || event.source !== wanted.source) continue;
      return { position: item.positions[index] ?? 0, ingressTimeUs: record.ingressTimeUs };
    }
  }
  return undefined;
}
