import type { WhyAnswer } from '@eventmesh/adapter-api';
import { EventView, type RecordView } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { decodeEntry } from '../../schedule/timer-entry.ts';
import { answerOf } from './answers.ts';

/** An event that waits, or waited, for its time. */
interface Timer {
  readonly position: number;
  readonly dueMs: number;
  readonly record: RecordView;
  state: 'waiting' | 'fired' | 'dropped';
}

export interface ScheduledDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly scanMax: number;
  readonly now: () => number;
}

/** What became of an event that is not among the published ones but was to be published later. */
export async function scheduledAnswers(
  deps: ScheduledDeps,
  tenant: string,
  id: string,
  source: string | undefined,
): Promise<WhyAnswer[]> {
  const timers = await timersOf(deps, `timers.${tenant}`, id, source);
  return timers.map(({ position, dueMs, record, state }) => {
    const due = new Date(dueMs).toISOString();
    const known = {
      site: deps.site,
      subject: 'schedule',
      source: new EventView(record.event).source,
      topic: record.topic,
      policyRevision: record.handling.policyRevision,
      grantsRevision: record.handling.grantsRevision,
    };
    if (state === 'waiting') {
      const reason =
        dueMs > deps.now()
          ? `to be published at ${due}; timer ${position}`
          : `due since ${due}; timer ${position} is about to be published`;
      return answerOf({ ...known, state: 'scheduled', reason, nextMs: dueMs });
    }
    if (state === 'dropped') {
      const reason = `was to be published at ${due}: skipped as late, given up, moved or cancelled`;
      return answerOf({ ...known, state: 'dropped', reason });
    }
    return answerOf({
      ...known,
      state: 'gone',
      reason: `published at ${due}, and no longer stored`,
    });
  });
}

/** Among the newest records of the log of timers. */
async function timersOf(
  { store, scanMax }: ScheduledDeps,
  log: string,
  id: string,
  source: string | undefined,
): Promise<readonly Timer[]> {
  const [info] = (await store.logInfo(log))?.partitions ?? [];
  if (info === undefined || info.last < info.first) return [];
  const found = new Map<number, Timer>();
  const from = {
    kind: 'position',
    position: Math.max(info.first, info.last - scanMax + 1),
  } as const;
  for await (const item of store.read({ log, partition: 0, from, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    for (const [index, bytes] of item.records.entries()) {
      const position = item.positions[index] ?? 0;
      const entry = decodeEntry(bytes);
      if (entry.kind === 'decision') {
        const { fire, drop } = entry.decision;
        mark(
          found,
          fire.flatMap(({ positions }) => positions),
          'fired',
        );
        mark(found, drop, 'dropped');
        continue;
      }
      const { dueMs, record } = entry;
      const event = new EventView(record.event);
      if (event.id !== id || (source !== undefined && event.source !== source)) continue;
      found.set(position, { position, dueMs, record, state: 'waiting' });
    }
  }
  return [...found.values()];
}

function mark(
  timers: ReadonlyMap<number, Timer>,
  positions: readonly number[],
  state: Timer['state'],
) {
  for (const position of positions) {
    const timer = timers.get(position);
    if (timer !== undefined) timer.state = state;
  }
}
