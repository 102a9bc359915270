import type { ScheduledEvent, ScheduledEventsPort, Session } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, type RecordView } from '@eventmesh/event';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import { callerOf, denied } from '../session.ts';
import { latePolicyFromWire } from './late.ts';
import { TimerLog } from './timer-log.ts';

export interface TimerAdminDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly now: () => number;
  readonly cancelled: (tenant: string, events: number) => void;
}

const PAGE_MAX = 1000;
/** What a listing may hold of events in memory. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** The timers of a busy tenant change while their log is read. */
const TRIES = 5;

/** Looks into the log of timers and takes events back; any emesher of the site can. */
export function timerAdmin(deps: TimerAdminDeps): ScheduledEventsPort {
  const { store, site, now } = deps;
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
      if (log === undefined) return { events: [], pending: 0 };
      const book = await log.load(() => Infinity);
      const { pending } = book;
      const due = book.takeDue(Infinity, size).map(({ position }) => position);
      const timers = await log.timersAt(due, PAGE_BYTES_MAX);
      if (timers === undefined) {
        throw invalid('pageSize', 'these events are too large for one page; ask for fewer');
      }
      return { events: due.flatMap((position) => view(position, timers)), pending };
    },

    async cancel(session: Session, id: string, source: string) {
      const caller = callerOf(session);
      const { tenant } = caller.principal;
      const log = await logOf(tenant);
      for (let attempt = 1; log !== undefined; attempt++) {
        const found = new Map<number, string>();
        const book = await log.load(
          () => Infinity,
          (position, record) => {
            const event = new EventView(record.event);
            if (event.id !== id || (source !== '' && event.source !== source)) return;
            found.set(position, record.topic);
          },
        );
        const waiting = [...found].filter(([position]) => book.waits(position));
        if (waiting.length === 0) break;
        for (const [, topic] of waiting) {
          if (!caller.grants.canPublish(topic)) throw denied('publish', topic);
        }
        const drop = waiting.map(([position]) => position);
        try {
          await log.decide({ sequence: book.sequence + 1, fire: [], drop }, now());
          deps.cancelled(tenant, drop.length);
          return drop.length;
        } catch (error) {
          if (MeshError.from(error).code !== 'Aborted' || attempt === TRIES) throw error;
        }
      }
      throw new MeshError('NotFound', `no event "${id}" waits to be published`, { field: 'id' });
    },
  };
}

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
