import { MeshError } from '@eventmesh/errors';
import type { DeadLetters } from '../dead/index.ts';
import type { Publisher } from '../publish/publisher.ts';
import { ownerText } from '../schedule/occurrence.ts';
import { Publishers } from '../schedule/principals.ts';
import { timerAdmin } from '../schedule/timer-admin.ts';
import { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

interface ScheduleParts {
  readonly publisher: Publisher;
  readonly letters: DeadLetters;
}

/** The log of timers → due → append, or dead letter; schedules; and who looks at what waits. */
export function schedulePath(
  { options, deps, logs, directory, owners, ledger, metrics, journal }: Base,
  { publisher, letters }: ScheduleParts,
) {
  const { site, dataPlane } = options;
  const { store, authorizer, policies, log: logger } = deps;
  const { lateTolerance, pendingMax, missedMax } = dataPlane.timers;
  const timers = new Timers({
    site,
    store,
    logs,
    directory,
    authorizer,
    policies,
    deadLetters: letters,
    ledger,
    metrics,
    journal,
    logger,
    now: Date.now,
    async publishAs(schedule, item) {
      const publishers = new Publishers(authorizer, schedule.tenant);
      const session = await publishers.session(ownerText(schedule));
      const [outcome] = await publisher.publish(session, [item]);
      if (outcome instanceof MeshError) throw outcome;
    },
    lateTolerance,
    pendingMax,
    missedMax,
    duplicateWindow: dataPlane.log.duplicateWindow,
  });
  return { timers, scheduled: timerAdmin({ site, store, timers, owners }) };
}
