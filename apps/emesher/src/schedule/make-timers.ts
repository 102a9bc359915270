import type { Authorizer, GovernanceView } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from '../config.ts';
import type { Directory } from '../control/directory.ts';
import type { DeadLetters } from '../dead/dead-letters.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Logs } from '../logs.ts';
import type { OwnerCalls } from '../peer/owner-calls.ts';
import type { Publisher } from '../publish/publisher.ts';
import { ownerText } from './occurrence.ts';
import { Publishers } from './principals.ts';
import { timerAdmin } from './timer-admin.ts';
import { Timers } from './timers.ts';

export interface TimerParts {
  readonly site: string;
  readonly dataPlane: DataPlaneConfig;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly directory: Directory;
  readonly owners: OwnerCalls;
  readonly authorizer: Authorizer;
  readonly policies: GovernanceView;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly log: Logger;
  readonly publisher: Publisher;
  readonly deadLetters: Pick<DeadLetters, 'bury' | 'full'>;
}

/** Scheduled events: the log of timers, who fires them, and who looks at them. */
export function makeTimers(parts: TimerParts) {
  const { authorizer, publisher, dataPlane, log, site, store, owners } = parts;
  const now = Date.now;
  const timers = new Timers({
    ...parts,
    ...dataPlane.timers,
    logger: log,
    now,
    duplicateWindow: dataPlane.log.duplicateWindow,
    async publishAs(schedule, item) {
      const session = await new Publishers(authorizer, schedule.tenant).session(
        ownerText(schedule),
      );
      const [outcome] = await publisher.publish(session, [item]);
      if (outcome instanceof MeshError) throw outcome;
    },
  });
  return { timers, scheduled: timerAdmin({ site, store, timers, owners }) };
}
