import type { RecordView } from '@eventmesh/event';
import type { DueTimer } from './due-timers.ts';
import { whenDue } from './late.ts';

/** A timer that dies. */
export interface GivenUp extends DueTimer {
  readonly outcome: string;
  readonly cause: string;
}

/** What is to become of a batch of timers that are due. */
export interface Verdicts {
  /** Positions by the partition of the tenant's events that they go to. */
  readonly fire: ReadonlyMap<number, readonly number[]>;
  readonly drop: readonly number[];
  readonly dead: readonly GivenUp[];
  /** Of those that are fired and dropped, by outcome. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface Law {
  readonly nowMs: number;
  /** One that is later than this is late. */
  readonly toleranceMs: number;
  /** Undefined while nobody can tell. */
  readonly mayPublish: (record: RecordView) => Promise<boolean | undefined>;
  readonly partition: (record: RecordView) => Promise<number>;
}

/** Undefined when it cannot be told of one of them whether it may be published. */
export async function judge(due: readonly DueTimer[], law: Law): Promise<Verdicts | undefined> {
  const fire = new Map<number, number[]>();
  const drop: number[] = [];
  const dead: GivenUp[] = [];
  const counts: Record<string, number> = {};
  for (const timer of due) {
    const { dueMs, position, record } = timer;
    const allowed = await law.mayPublish(record);
    if (allowed === undefined) return undefined;
    const outcome = allowed
      ? whenDue(dueMs, law.nowMs, law.toleranceMs, record.handling.latePolicy)
      : 'forbidden';
    if (outcome === 'dead-letter' || outcome === 'forbidden') {
      dead.push({ ...timer, outcome, cause: allowed ? 'late' : 'forbidden' });
      continue;
    }
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (outcome === 'skip') {
      drop.push(position);
      continue;
    }
    const partition = await law.partition(record);
    const positions = fire.get(partition) ?? [];
    positions.push(position);
    fire.set(partition, positions);
  }
  return { fire, drop, dead, counts };
}
