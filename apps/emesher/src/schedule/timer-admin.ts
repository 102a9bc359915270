import type { ScheduledEvent, ScheduledEventsPort, Session } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, type RecordView } from '@eventmesh/event';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import type { OwnerCalls } from '../peer/owner-calls.ts';
import { callerOf, denied, type CallerSession } from '../session.ts';
import { latePolicyFromWire } from './late.ts';
import { TimerLog } from './timer-log.ts';
import type { Timers } from './timers.ts';

export interface TimerAdminDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly timers: Pick<Timers, 'cancel'>;
  readonly owners: Pick<OwnerCalls, 'run'>;
}

/** Timers that one call takes back. */
export const CANCEL_MAX = 1000;

const PAGE_MAX = 1000;
/** What a listing may hold of events in memory. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** The timers of a busy tenant change while their log is read. */
const TRIES = 5;
/** Sources that an error names. */
const SOURCES_MAX = 5;

/** Looks into the log of timers, which any emesher of the site can, and has its owner take events back. */
export function timerAdmin(deps: TimerAdminDeps): ScheduledEventsPort {
  const { store, site } = deps;
  const logOf = async (tenant: string): Promise<TimerLog | undefined> => {
    const log = new TimerLog(store, site, tenant);
    return (await store.logInfo(log.name)) === undefined ? undefined : log;
  };
  return {
    async list(session: Session, size: number) {
      const caller = callerOf(session);
      if (!caller.grants.can(Action.INSPECT, 'timers')) throw denied('inspect', 'timers');
      if (!(size >= 1 && size <= PAGE_MAX)) {
        throw invalid('pageSize', `is ${size}`, { limit: `1 to ${PAGE_MAX}` });
      }
      const log = await logOf(caller.principal.tenant);
      return log === undefined ? { events: [], pending: 0 } : firstDue(log, size);
    },

    async cancel(session: Session, id: string, source: string) {
      const caller = callerOf(session);
      const log = await logOf(caller.principal.tenant);
      for (let attempt = 1; log !== undefined; attempt++) {
        const positions = await waiting(log, caller, id, source);
        if (positions.length === 0) break;
        const cancelled = await cancelAtOwner(deps, log.tenant, positions.slice(0, CANCEL_MAX));
        if (cancelled > 0) return cancelled;
        // They were published meanwhile, or are stored anew at the end of the log.
        if (attempt === TRIES) {
          const text = `the scheduled events of ${log.tenant} change too fast to take one back; try again`;
          throw new MeshError('Aborted', text, { retryAfterMs: 1000 });
        }
      }
      throw new MeshError('NotFound', `no event "${id}" waits to be published`, { field: 'id' });
    },
  };
}

async function firstDue(log: TimerLog, size: number): ReturnType<ScheduledEventsPort['list']> {
  for (let attempt = 1; ; attempt++) {
    const book = await log.load(() => Infinity);
    const { pending } = book;
    const due = book.takeDue(Infinity, size).map(({ position }) => position);
    const timers = await log.timersAt(due, PAGE_BYTES_MAX, 'skip');
    if (timers === undefined) {
      throw invalid('pageSize', 'these events are too large for one page; ask for fewer');
    }
    // Some were published and dropped from the log between the two readings.
    if (timers.size < due.length && attempt < TRIES) continue;
    return { events: due.flatMap((position) => view(position, timers)), pending };
  }
}

/** Positions of the events with this id that wait. @throws MeshError when the caller may not have them. */
async function waiting(
  log: TimerLog,
  caller: CallerSession,
  id: string,
  source: string,
): Promise<number[]> {
  const found = new Map<number, { readonly topic: string; readonly source: string }>();
  const book = await log.load(
    () => Infinity,
    (position, record) => {
      const event = new EventView(record.event);
      if (event.id !== id || (source !== '' && event.source !== source)) return;
      found.set(position, { topic: record.topic, source: event.source });
    },
  );
  for (const position of found.keys()) if (!book.waits(position)) found.delete(position);
  for (const { topic } of found.values()) {
    if (!caller.grants.canPublish(topic)) throw denied('publish', topic);
  }
  checkSources(id, new Set([...found.values()].map((event) => event.source)));
  return [...found.keys()];
}

function checkSources(id: string, sources: ReadonlySet<string>): void {
  if (sources.size < 2) return;
  const named = [...sources].slice(0, SOURCES_MAX).map((source) => `"${source}"`);
  const more = sources.size > SOURCES_MAX ? ` and ${sources.size - SOURCES_MAX} more` : '';
  throw invalid(
    'source',
    `events "${id}" of several sources wait: ${named.join(', ')}${more}; name the one that is meant`,
  );
}

const cancelAtOwner = (
  { timers, owners }: TimerAdminDeps,
  tenant: string,
  positions: readonly number[],
): Promise<number> =>
  owners.run({
    what: `the scheduled events of ${tenant}`,
    here: () => timers.cancel(tenant, positions),
    there: async (client, options) => {
      const request = { tenant, positions: positions.map(BigInt) };
      return Number((await client.cancelTimers(request, options)).cancelled);
    },
  });

function view(position: number, timers: ReadonlyMap<number, RecordView>): ScheduledEvent[] {
  const record = timers.get(position);
  if (record === undefined) return [];
  const { id, source, type } = new EventView(record.event);
  const { deliverAtMs, latePolicy } = record.handling;
  const [principal = ''] = record.principal.split(' ');
  const late = latePolicyFromWire(latePolicy);
  return [
    { topic: record.topic, id, source, type, principal, deliverAtMs, latePolicy: late, position },
  ];
}
