import {
  decodeState,
  isSettledBy,
  type DeliveryEngine,
  type Entry,
  type PartitionState,
  type Subscription,
} from '@eventmesh/delivery';
import type { RecordView } from '@eventmesh/event';
import type { Cursor, EventStore } from '@eventmesh/store-api';
import type { Logs } from '../../logs.ts';
import type { HeldEvent, Place } from './facts.ts';

export interface PlaceDeps {
  readonly store: Pick<EventStore, 'loadCursor'>;
  readonly logs: Pick<Logs, 'name'>;
}

/** A stored event whose place is asked for. */
export interface Stored {
  readonly partition: number;
  readonly position: number;
  readonly record: RecordView;
  /** Last position of its partition. */
  readonly last: number;
}

/** Where an event stands by the engine that runs the subscription. */
export function runningPlace(
  engine: Pick<DeliveryEngine, 'find' | 'parkedAt' | 'partition' | 'consumers' | 'stopped'>,
  subscription: Subscription,
  { partition, position, record, last }: Stored,
): Place {
  const entry = engine.find(partition, position);
  if (entry !== undefined) return { kind: 'held', ...held(entry) };
  const stuck = engine.parkedAt(partition, position, record);
  if (stuck !== undefined) return { kind: 'parked', stuck };
  const { next, start } = engine.partition(partition);
  if (position >= next) {
    const { consumers, stopped } = engine;
    return { kind: 'unread', lag: last + 1 - next, consumers, stopped };
  }
  return beforeStart(subscription, record, { partition, position, start }) ?? { kind: 'settled' };
}

/** Where an event stands by the cursor of a subscription, while no emesher that answers runs it. */
export async function storedPlace(
  { store, logs }: PlaceDeps,
  subscription: Subscription,
  { partition, position, record, last }: Stored,
): Promise<Place> {
  const { tenant, name } = subscription;
  const cursor = await store.loadCursor({ log: logs.name(tenant), partition, subscription: name });
  const start = cursor === undefined ? undefined : startOf(cursor);
  const before = beforeStart(subscription, record, { partition, position, start });
  if (before !== undefined) return before;
  const state = cursor === undefined ? undefined : decodeState(cursor.state);
  if (cursor !== undefined && isSettledBy(cursor, state, position, record)) {
    return { kind: 'settled' };
  }
  const again = state === undefined ? undefined : comesAgain(state, position, Date.now());
  if (again !== undefined) return again;
  const parked = state?.parkedEvents ?? 0;
  const lag = cursor === undefined ? last : last + 1 - cursor.floor - settledAbove(cursor) + parked;
  // An emesher that does not answer may run it; its consumers are not known here.
  return { kind: 'unread', lag, consumers: undefined };
}

function held(entry: Readonly<Entry>): HeldEvent {
  let ahead = 0;
  for (let before = entry.before; before !== undefined; before = before.before) ahead++;
  const { state, attempts, failures, reason, consumer, dueMs } = entry;
  return {
    state,
    attempts,
    failures,
    reason,
    consumer: consumer?.name ?? '',
    dueMs,
    ahead,
  };
}

/** What a cursor knows of an event that has failed, or waits for its delay. */
function comesAgain(
  { failures, delays }: Pick<PartitionState, 'failures' | 'delays'>,
  position: number,
  nowMs: number,
): Place | undefined {
  const at = (pairs: PartitionState['failures']) =>
    pairs.find(([failed]) => failed === position)?.[1] ?? 0;
  const [count, dueMs] = [at(failures), at(delays)];
  const rest = { attempts: count, failures: count, reason: '', consumer: '', ahead: 0 };
  if (dueMs > nowMs) return { kind: 'held', state: 'later', dueMs, ...rest };
  // A delay that is over says no more than that it is not settled.
  return count === 0 ? undefined : { kind: 'held', state: 'ready', dueMs: 0, ...rest };
}

/** The books say where a subscription began; for an older cursor only what it asked for does. */
function beforeStart(
  { start, createdMs }: Subscription,
  record: RecordView,
  at: { readonly partition: number; readonly position: number; readonly start: number | undefined },
): Place | undefined {
  if (at.start !== undefined) {
    if (at.position >= at.start) return undefined;
    return { kind: 'before-start', start: `position ${at.start} of partition ${at.partition}` };
  }
  const storedMs = Math.floor((record.hops.at(-1)?.timeUs ?? record.ingressTimeUs) / 1000);
  const since = start.kind === 'time' ? start.timeMs : start.kind === 'latest' ? createdMs : 0;
  if (storedMs >= since) return undefined;
  return { kind: 'before-start', start: new Date(since).toISOString() };
}

const startOf = ({ state, floor, settled }: Cursor): number | undefined =>
  // Without a state nothing was looked at yet, so the floor is where it begins.
  state.length === 0 && settled.length === 0 ? floor : decodeState(state)?.start;

const settledAbove = ({ settled }: Cursor): number =>
  settled.reduce((sum, { from, to }) => sum + to - from + 1, 0);
