import type { Subscription } from '@eventmesh/delivery';
import type { Cursor, EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';
import { movedError } from './hold.ts';
import { startPositions } from './start-position.ts';

/**
 * Where a subscription goes on in each partition: at its cursors; an ephemeral one, which has none,
 * where it is to start. A partition without a cursor beside others came later, and all of its events.
 */
export async function loadCursors(
  store: EventStore,
  log: string,
  subscription: Subscription,
  partitions: number,
): Promise<Cursor[]> {
  if (subscription.ephemeral) {
    const floors = await startPositions(store, log, subscription.start);
    return floors.map(cursorAt);
  }
  const found = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      store.loadCursor({ log, partition, subscription: subscription.name }),
    ),
  );
  if (found.every((cursor) => cursor === undefined)) {
    const floors = await startPositions(store, log, subscription.start);
    return floors.map(cursorAt);
  }
  return found.map((cursor) => cursor ?? cursorAt(1));
}

const cursorAt = (floor: number): Cursor => ({ floor, settled: [], epoch: 0, state: NO_STATE });

/**
 * Writes the cursors as they are under a new owner's epoch: from here on the store refuses what a
 * former owner, such as one that was paused, still writes.
 */
export async function claimCursors(
  store: EventStore,
  log: string,
  { name }: Subscription,
  epoch: number,
  cursors: readonly Cursor[],
): Promise<void> {
  const fenced = await store.commitCursors(
    cursors.map((cursor, partition) => ({
      id: { log, partition, subscription: name },
      cursor: { ...cursor, epoch },
    })),
  );
  if (fenced.length > 0) throw movedError(name);
}

const NO_STATE = new Uint8Array(0);

interface StartDeps {
  readonly store: EventStore;
  readonly logs: Logs;
}

/** Where a subscription starts in each partition. @throws NotFound as `startPositions` does. */
export async function startFloors(
  { store, logs }: StartDeps,
  { tenant, start }: Subscription,
): Promise<number[]> {
  await logs.ensure(tenant);
  return startPositions(store, logs.name(tenant), start);
}

/** Puts a subscription at these positions; false when a newer owner has written its cursors. */
export async function writeFloors(
  { store, logs }: StartDeps,
  { tenant, name }: Subscription,
  floors: readonly number[],
  epoch: number,
): Promise<boolean> {
  const log = logs.name(tenant);
  const commits = floors.map((floor, partition) => ({
    id: { log, partition, subscription: name },
    cursor: { floor, settled: [], epoch, state: NO_STATE },
  }));
  return (await store.commitCursors(commits)).length === 0;
}
