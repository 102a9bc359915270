import type { Producer, Receipt } from '@eventmesh/adapter-api';
import { invalid, type MeshError } from '@eventmesh/errors';
import { atomicFault } from '@eventmesh/event';
import type { AppendRecord } from '@eventmesh/store-api';
import { nowUs } from '../clock.ts';
import { partitionOf, type Logs } from '../logs.ts';
import type { Timers } from '../schedule/timers.ts';
import type { CallerSession } from '../session.ts';
import type { Admitted } from './admit.ts';
import type { ResolvedTopic } from './resolve.ts';
import type { PublishSpan } from './spans.ts';

/** What one call publishes. */
export interface Call {
  readonly session: CallerSession;
  readonly producer: Producer | undefined;
  readonly partitions: number;
  readonly timeUs: number;
  readonly started: number;
  readonly outcomes: (Receipt | MeshError)[];
  /** By partition, or `LATER`. */
  readonly groups: Map<number, Group>;
}

/**
 * Events of one partition on their way to the store. Many are, for as long as a commit takes: of each
 * it keeps no more than the receipt and the books need.
 */
export interface Group {
  readonly log: string;
  readonly partition: number;
  /** Where those go that are for later, when they are due; empty for others. */
  readonly homes: number[];
  /** Until they are handed over. */
  records: AppendRecord[];
  readonly events: Sent[];
  /** Numbers by a producer; empty without one. */
  readonly sequences: number[];
  /** Open until the store has answered; empty while nothing is traced. */
  readonly spans: PublishSpan[];
}

/** An event that is on its way to the store. */
export interface Sent {
  /** In the call, and so in its answer. */
  readonly place: number;
  readonly id: string;
  readonly source: string;
  readonly bytes: number;
  readonly resolved: ResolvedTopic;
  readonly deliverAtMs: number;
}

/** The names of the logs that events go to. */
export interface LogNames {
  readonly logs: Pick<Logs, 'name'>;
  readonly timers: () => Pick<Timers, 'name'>;
}

/** The group of events that are for later: they go into the one partition of the log of timers. */
const LATER = -1;

/** Most records of one append, and so of a call that is to be stored as a whole. */
export const APPEND_MAX = 1000;

/** A call begins now. */
export const openCall = (
  session: CallerSession,
  producer: Producer | undefined,
  events: number,
  partitions: number,
): Call => ({
  session,
  producer,
  partitions,
  started: performance.now(),
  outcomes: new Array<Receipt | MeshError>(events),
  timeUs: nowUs(),
  groups: new Map(),
});

/** The group of a call that an event belongs to, made with the first of them. */
export function groupOf(
  names: LogNames,
  { groups, session, partitions }: Call,
  { resolved, key, deliverAtMs }: Admitted,
): Group {
  const { tenant } = session.principal;
  const later = deliverAtMs !== 0;
  const where = later ? LATER : partitionOf(resolved.topic, key, partitions);
  let group = groups.get(where);
  if (group === undefined) {
    const log = later ? names.timers().name(tenant) : names.logs.name(tenant);
    const lists = { homes: [], records: [], events: [], sequences: [], spans: [] };
    group = { log, partition: later ? 0 : where, ...lists };
    groups.set(where, group);
  }
  return group;
}

/** The publish of each of its events is over. */
export function endSpans({ spans }: Group): void {
  for (const span of spans) span.end();
}

/** Places of timers that the events of a call have taken. */
export const placesOf = ({ groups }: Call): number => groups.get(LATER)?.homes.length ?? 0;

/** Why a call cannot be stored all or nothing: an event was refused, or they are no one append. */
export function atomicProblem({ groups, outcomes }: Call): MeshError | undefined {
  const fault = atomicFault(outcomes);
  if (fault !== undefined) return fault;
  const [only] = groups.values();
  const limit = `1 partition, ${APPEND_MAX} events`;
  if (groups.size > 1) {
    return invalid(
      'atomic',
      groups.has(LATER)
        ? 'some events are for later and some for now'
        : `the events fall into ${groups.size} partitions; give them one topic and partitionkey`,
      { reason: 'ATOMIC_ACROSS_PARTITIONS', limit },
    );
  }
  const count = only?.records.length ?? 0;
  if (count <= APPEND_MAX) return undefined;
  return invalid('atomic', `there are ${count} events`, { reason: 'ATOMIC_TOO_LARGE', limit });
}
