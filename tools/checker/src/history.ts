import { invalid } from '@eventmesh/errors';

/** What every line has. */
interface Line {
  /** Milliseconds of a clock that never goes back and that all writers of a history share. */
  readonly t: number;
}

/**
 * A subscription begins: it must get every acknowledged event sent from here on that it wants. What
 * was sent before is neither demanded nor held against it.
 */
export interface SubscribeLine extends Line {
  readonly op: 'subscribe';
  /** Unique in the history; of a broadcast subscription each consumer is one of its own. */
  readonly sub: string;
  readonly tenant: string;
  readonly topicFilters: readonly string[];
  /** Topic filters that its owner may read. Absent: every topic of its tenant. */
  readonly grants?: readonly string[];
  /** At most once: what is missing is no loss. Default false. */
  readonly direct?: boolean;
}

/** A subscription ends: what is sent from here on is not demanded. */
export interface UnsubscribeLine extends Line {
  readonly op: 'unsubscribe';
  readonly sub: string;
}

/** A consumer went away without settling: what it held may come again with any attempt number. */
export interface DetachLine extends Line {
  readonly op: 'detach';
  readonly sub: string;
}

/** An event is about to be sent. Written before the first byte goes out, again for each resend. */
export interface SendLine extends Line {
  readonly op: 'send';
  /** Unique in the history; a resend repeats it. */
  readonly id: string;
  readonly tenant: string;
  /** Session of one producer that sends in order. */
  readonly producer: string;
  readonly topic: string;
  /** Order is promised within (producer, topic, key); absent: none is. */
  readonly key?: string;
  /** Hash of what must arrive unchanged. */
  readonly hash: string;
  /** Names of the subscriptions that want it. Absent: as their topic filters say. */
  readonly wants?: readonly string[];
}

/**
 * How a send ended: `ok` acknowledged, `fail` refused for certain, `unknown` anything else (a
 * timeout is never a failure).
 */
export interface SendEndLine extends Line {
  readonly op: 'ok' | 'fail' | 'unknown';
  readonly id: string;
  readonly code?: string;
}

/** A consumer received an event. */
export interface ReceiveLine extends Line {
  readonly op: 'recv';
  readonly sub: string;
  readonly id: string;
  readonly topic: string;
  readonly key?: string;
  readonly hash: string;
  /** 1 for the first delivery. */
  readonly attempt: number;
}

/** A consumer settled a delivery; `unknown` when the settlement may not have arrived. */
export interface SettleLine extends Line {
  readonly op: 'settle';
  readonly sub: string;
  readonly id: string;
  readonly outcome: 'accept' | 'release' | 'reject' | 'unknown';
}

/** The system's own books say what became of an event that was not delivered. */
export interface AccountLine extends Line {
  readonly op: 'account';
  readonly sub: string;
  readonly id: string;
  readonly as: 'expired' | 'dead-lettered' | 'held';
}

export type HistoryLine =
  | SubscribeLine
  | UnsubscribeLine
  | DetachLine
  | SendLine
  | SendEndLine
  | ReceiveLine
  | SettleLine
  | AccountLine;

const FIELDS: Readonly<Record<HistoryLine['op'], readonly string[]>> = Object.freeze({
  subscribe: ['sub', 'tenant'],
  unsubscribe: ['sub'],
  detach: ['sub'],
  send: ['id', 'tenant', 'producer', 'topic', 'hash'],
  ok: ['id'],
  fail: ['id'],
  unknown: ['id'],
  recv: ['sub', 'id', 'topic', 'hash'],
  settle: ['sub', 'id', 'outcome'],
  account: ['sub', 'id', 'as'],
} satisfies Record<HistoryLine['op'], readonly string[]>);

/**
 * Parses one line of a history file.
 *
 * @throws MeshError InvalidArgument that names `where` and the field.
 */
export function parseHistoryLine(text: string, where: string): HistoryLine {
  let line: Record<string, unknown>;
  try {
    line = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw invalid(where, `is not JSON: ${(error as Error).message}`);
  }
  const fields = FIELDS[line['op'] as HistoryLine['op']];
  if (fields === undefined) throw invalid(`${where}.op`, `"${String(line['op'])}" is unknown`);
  if (typeof line['t'] !== 'number') throw invalid(`${where}.t`, 'is not a number');
  for (const field of fields) {
    if (typeof line[field] !== 'string') throw invalid(`${where}.${field}`, 'is not a string');
  }
  if (line['op'] === 'recv' && typeof line['attempt'] !== 'number') {
    throw invalid(`${where}.attempt`, 'is not a number');
  }
  if (line['op'] === 'subscribe' && !Array.isArray(line['topicFilters'])) {
    throw invalid(`${where}.topicFilters`, 'is not a list');
  }
  return line as unknown as HistoryLine;
}
