import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { MakeDeps } from './make-subscription.ts';

/**
 * Drops what the store keeps of a subscription that is no more: cursors of its epochs, and none of one
 * that somebody has made under its name meanwhile. That one is made under the ownership of the name, and
 * so is this done: neither comes between the other's reading and writing.
 */
export async function dropCursors(
  { runners, logs, store }: MakeDeps,
  { tenant, name }: Subscription,
  epochMax: number,
): Promise<void> {
  const log = logs.name(tenant);
  const { partitions } = await logs.ensure(tenant);
  const drop = async () => {
    for (const { partition } of partitions) {
      const id = { log, partition, subscription: name };
      const cursor = await store.loadCursor(id);
      if (cursor !== undefined && cursor.epoch <= epochMax) await store.deleteCursor(id);
    }
  };
  try {
    await runners.unlessThere({ tenant, name }, () => undefined, drop);
  } catch (thrown) {
    // Somebody makes or consumes it anew, and has written its own.
    if (MeshError.from(thrown).reason !== 'OWNED_ELSEWHERE') throw thrown;
  }
}
