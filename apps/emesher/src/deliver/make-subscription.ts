import { subscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Logs } from '../logs.ts';
import { checkDirectSpec } from './direct-spec.ts';
import { movedError } from './hold.ts';
import { startFloors, writeFloors } from './own-cursors.ts';
import type { Runners } from './runners.ts';
import { checkStartTime } from './start-position.ts';

export interface MakeDeps {
  readonly directory: Directory;
  readonly logs: Logs;
  readonly store: EventStore;
  readonly runners: Pick<Runners, 'unlessThere'>;
}

export interface Made {
  readonly subscription: Subscription;
  /** Of this site, with the subscription in it; 0 when it was there already. */
  readonly interestVersion: bigint;
}

/** How long what another emesher made at the same moment may take to be known here, in ms. */
const KNOWN_MS_MAX = 2000;

/**
 * Makes a subscription and puts it at its start; `latest` means before this resolves. When another
 * emesher has made one of this name, be it a moment ago, that one is the answer and stays as it is.
 */
export async function makeSubscription(deps: MakeDeps, subscription: Subscription): Promise<Made> {
  checkStartTime(subscription.start, subscription.createdMs);
  checkDirectSpec(subscription);
  const { tenant, name } = subscription;
  try {
    return await (hasCursors(subscription)
      ? makeAtStart(deps, subscription)
      : deps.directory.put(subscription, -1));
  } catch (thrown) {
    const error = MeshError.from(thrown);
    if (error.code !== 'Aborted' && error.reason !== 'OWNED_ELSEWHERE') throw error;
    const there = await deps.directory.awaited(subscriptionKey({ tenant, name }), KNOWN_MS_MAX);
    if (there !== undefined) return { subscription: there, interestVersion: 0n };
    throw error.code === 'Aborted' ? error : stillOwned(name, error);
  }
}

/**
 * Its cursors are written before it is there, so that it never begins anywhere else, whatever ends
 * this emesher meanwhile; and under a new epoch of its name, so that no owner of a subscription that
 * had the name before, such as one that was paused, can write over them.
 */
async function makeAtStart(deps: MakeDeps, subscription: Subscription): Promise<Made> {
  const floors = await startFloors(deps, subscription);
  return deps.runners.unlessThere<Made>(
    subscription,
    (there) => ({ subscription: there, interestVersion: 0n }),
    async (epoch) => {
      if (!(await writeFloors(deps, subscription, floors, epoch)))
        throw movedError(subscription.name);
      return deps.directory.put(subscription, -1);
    },
  );
}

/** A broadcast is consumed through its parts, and has no progress of its own. */
const hasCursors = ({ deliveryClass, mode, ephemeral }: Subscription): boolean =>
  deliveryClass === 'durable' && mode !== 'broadcast' && !ephemeral;

const stillOwned = (name: string, cause: MeshError): MeshError =>
  new MeshError(
    'Unavailable',
    `another emesher is still at work on a subscription "${name}" of before; try again`,
    { field: 'name', retryAfterMs: 1000 },
    cause,
  );
