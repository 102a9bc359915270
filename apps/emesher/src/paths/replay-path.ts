import { MeshError } from '@eventmesh/errors';
import type { SubscriptionAdmin } from '../deliver/subscription-admin.ts';
import { makeReplays } from '../replay/make-replays.ts';
import type { Replays } from '../replay/replays.ts';
import type { Base } from './foundation.ts';

/** Store → match → deliver once more, beside the subscription and without its cursor. */
export function replayPath(
  { options, deps, logs, directory, metrics, journal }: Base,
  { admin }: { readonly admin: SubscriptionAdmin },
): Replays {
  const { replay: config, delivery } = options.dataPlane;
  const { store, log: logger } = deps;
  const replays = makeReplays({ store, logs, admin, metrics, journal, logger, config, delivery });
  directory.listen({
    deleted(tenant, name) {
      replays.endOf(tenant, name, new MeshError('NotFound', `subscription "${name}" was deleted`));
    },
  });
  return replays;
}
