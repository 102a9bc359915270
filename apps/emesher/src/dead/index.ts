import type { DeadLettersPort } from '@eventmesh/adapter-api';
import type { Authorizer, GovernanceView } from '@eventmesh/clients';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from '../config.ts';
import type { Directory } from '../control/directory.ts';
import { ownerSession } from '../deliver/owner-session.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import type { OwnerCalls } from '../peer/owner-calls.ts';
import { DeadTimers } from '../schedule/dead-timers.ts';
import { DeadChanges } from './changes.ts';
import { DeadGauges } from './gauges.ts';
import { DeadLetters } from './dead-letters.ts';
import { DeadLog } from './dead-log.ts';
import { giveBack } from './give-back.ts';
import { deadLimits } from './limits.ts';
import { DeadOwnership } from './ownership.ts';
import { Workbench } from './workbench.ts';

export { DeadLetters } from './dead-letters.ts';
export type { Dead } from './letter.ts';

export interface DeadDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Pick<Directory, 'subscriptions' | 'acquire' | 'release' | 'destinations'>;
  readonly policies: Pick<GovernanceView, 'audit' | 'revision' | 'deadLetterQuota'>;
  readonly authorizer: Pick<Authorizer, 'sessionFor'>;
  readonly owners: OwnerCalls;
  readonly ledger: Ledger;
  readonly metrics: EmesherMetrics;
  readonly journal: Journal;
  readonly logger: Logger;
  readonly config: DataPlaneConfig['deadLetters'];
  readonly now: () => number;
}

/** Everything about dead letters: who writes them, who looks at them, and their gauges. */
export interface DeadParts {
  readonly letters: DeadLetters;
  readonly port: DeadLettersPort;
  /** Redrive and purge, by this very emesher. */
  readonly changes: DeadChanges;
  readonly gauges: DeadGauges;
}

export function createDeadParts(deps: DeadDeps): DeadParts {
  const { site, store, logs, directory, policies, journal, logger, now, owners, metrics } = deps;
  const limits = deadLimits(deps.config, policies);
  const log = new DeadLog(store, limits);
  const policyRevision = () => policies.revision;
  const writing = { site, store, log, limits, policyRevision, now, metrics, logger };
  const letters = new DeadLetters(writing);
  const changes = new DeadChanges({
    log,
    directory,
    ownerSession: ownerSession(deps.authorizer),
    policies,
    metrics,
    now,
    ownership: new DeadOwnership(directory),
    giveBack: giveBack({ site, store, logs, journal }),
    timers: new DeadTimers(deps),
    changed: (tenant) => letters.retry(tenant),
  });
  return {
    letters,
    changes,
    port: new Workbench({ log, letters, changes, directory, limits, owners }),
    gauges: new DeadGauges({ log, letters, limits, metrics, now, logger }),
  };
}
