import { createDeadParts } from '../dead/index.ts';
import type { Base } from './foundation.ts';

/** What nobody accepts: buried, looked at, and given back. */
export function deadPath({
  options,
  deps,
  logs,
  directory,
  owners,
  ledger,
  metrics,
  journal,
}: Base) {
  const { store, policies, authorizer, log: logger } = deps;
  return createDeadParts({
    site: options.site,
    store,
    logs,
    directory,
    policies,
    authorizer,
    owners,
    ledger,
    metrics,
    journal,
    logger,
    config: options.dataPlane.deadLetters,
    now: Date.now,
  });
}
