import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Logs } from '../logs.ts';
import { isMoved } from './hold.ts';
import { checkDirectSpec } from './direct-spec.ts';
import { startFloors, writeFloors } from './own-cursors.ts';
import { ownershipName } from './runners.ts';
import { checkStartTime } from './start-position.ts';

export interface MakeDeps {
  readonly directory: Directory;
  readonly logs: Logs;
  readonly store: EventStore;
}

/** How long what another emesher made at the same moment may take to be known here, in ms. */
const KNOWN_MS_MAX = 2000;

/**
 * Makes a subscription and puts it at its start; `latest` means before this resolves. When another
 * emesher has made one of this name, be it a moment ago, that one is the answer and stays as it is.
 */
export async function makeSubscription(
  deps: MakeDeps,
  subscription: Subscription,
): Promise<{ readonly subscription: Subscription; readonly interestVersion: bigint }> {
  const { directory } = deps;
  checkStartTime(subscription.start, subscription.createdMs);
  checkDirectSpec(subscription);
  // A broadcast is consumed through its parts, and has no progress of its own.
  const { deliveryClass, mode, ephemeral, tenant, name } = subscription;
  const progresses = deliveryClass === 'durable' && mode !== 'broadcast' && !ephemeral;
  const floors = progresses ? await startFloors(deps, subscription) : [];
  let made;
  try {
    made = await directory.put(subscription, -1);
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.code !== 'Aborted') throw error;
    const there = await directory.awaited(`${tenant}/${name}`, KNOWN_MS_MAX);
    if (there === undefined) throw error;
    return { subscription: there, interestVersion: 0n };
  }
  try {
    if (progresses && !(await writeFloors(deps, subscription, floors, 0))) {
      await overwriteFloors(deps, subscription, floors);
    }
    return made;
  } catch (error) {
    // A start that was not written would be another one when it is first consumed.
    await directory.forget(subscription);
    throw error;
  }
}

/** Cursors of an earlier subscription of this name are left; the newest epoch of all wins. */
async function overwriteFloors(
  deps: MakeDeps,
  subscription: Subscription,
  floors: readonly number[],
): Promise<void> {
  const owned = ownershipName(subscription);
  try {
    const epoch = await deps.directory.acquire(owned);
    await writeFloors(deps, subscription, floors, epoch);
  } catch (thrown) {
    const error = MeshError.from(thrown);
    // It runs elsewhere already, from a start of its own.
    if (isMoved(error)) return;
    throw error;
  }
  await deps.directory.release(owned);
}
