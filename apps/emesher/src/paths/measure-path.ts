import type { DeadLetters } from '../dead/index.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { Runners } from '../deliver/runners.ts';
import { measureQueues } from '../inspect/queues.ts';
import type { Links } from '../link/links.ts';
import type { DirectFanOut } from '../peer/direct-fan-out.ts';
import type { Replays } from '../replay/replays.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Base } from './foundation.ts';

interface MeasureParts {
  readonly runners: Runners;
  readonly lanes: DirectLanes;
  readonly fanOut: DirectFanOut;
  readonly links: Links;
  readonly letters: DeadLetters;
  readonly timers: Timers;
  readonly replays: Replays;
}

/**
 * What is told when somebody looks: how full the queues are, and the books of what runs here.
 *
 * @returns what to call when it is told no more.
 */
export function measurePath(
  { deps, directory, ledger, journal, refusals }: Base,
  { runners, lanes, fanOut, links, letters, timers, replays }: MeasureParts,
): () => void {
  const { metrics, store, policies } = deps;
  measureQueues({
    metrics,
    store,
    policies,
    directory,
    runners,
    lanes,
    fanOut,
    links,
    letters,
    timers,
    replays,
    journal,
    refusals,
  });
  return metrics.beforeLook(() => {
    for (const runner of runners.all) runner.refresh();
    ledger.tellAll(runners.all, (runner) => runners.lag(runner));
  });
}
