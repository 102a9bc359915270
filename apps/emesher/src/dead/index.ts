import type { DeadLettersPort } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import type { EventStore } from '@eventmesh/store-api';
import type { LiveMetrics, Logger } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from '../config.ts';
import type { Directory } from '../control/directory.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Logs } from '../logs.ts';
import type { emesherMetrics } from '../metrics.ts';
import { DeadChanges } from './changes.ts';
import { DeadGauges } from './gauges.ts';
import { DeadLetters } from './dead-letters.ts';
import { DeadLog } from './dead-log.ts';
import { giveBack } from './give-back.ts';
import { DeadOwnership } from './ownership.ts';
import { Workbench } from './workbench.ts';

export { DeadLetters } from './dead-letters.ts';
export type { Dead } from './letter.ts';

export interface DeadDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Pick<Directory, 'subscriptions' | 'acquire' | 'release'>;
  readonly policies: Pick<GovernanceView, 'audit' | 'revision'>;
  readonly journal: Journal;
  readonly metrics: LiveMetrics<typeof emesherMetrics>;
  readonly logger: Logger;
  readonly config: DataPlaneConfig['deadLetters'];
  readonly now: () => number;
}

/** Everything about dead letters: who writes them, who looks at them, and their gauges. */
export interface DeadParts {
  readonly letters: DeadLetters;
  readonly port: DeadLettersPort;
  readonly gauges: DeadGauges;
}

export function createDeadParts(deps: DeadDeps): DeadParts {
  const { site, store, logs, directory, policies, journal, metrics, logger, now } = deps;
  const { bytesMax, retention } = deps.config;
  const log = new DeadLog(store, retention);
  const policyRevision = () => policies.revision;
  const writing = { site, store, log, bytesMax, policyRevision, now, metrics, logger };
  const letters = new DeadLetters(writing);
  const changes = new DeadChanges({
    log,
    directory,
    policies,
    metrics,
    now,
    ownership: new DeadOwnership(directory),
    giveBack: giveBack({ site, store, logs, journal }),
    changed: (tenant) => letters.retry(tenant),
  });
  return {
    letters,
    port: new Workbench({ log, letters, changes, directory, bytesMax }),
    gauges: new DeadGauges({ log, letters, bytesMax, metrics, now, logger }),
  };
}
