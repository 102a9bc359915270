import { WireReader, asBuffer, writeVarint } from '@eventmesh/event';
import { NO_COUNTS, type Counters } from './counters.ts';

/** A key that is parked: from a position on all its events are unsettled. */
export interface ParkedMark {
  /** See `markOf`. */
  readonly mark: string;
  readonly from: number;
}

/**
 * What survives a restart beside floor and settled ranges, for one partition. Each partition's
 * cursor carries its own, so that any mix of older and newer cursors is right by itself.
 */
export interface PartitionState {
  /** `considered` is without what was held: that is looked at again. */
  readonly counters: Counters;
  /** Failures of events that are not settled: position and count, by rising position. */
  readonly failures: readonly (readonly [position: number, count: number])[];
  /** When events that are not settled may go out, ms since the epoch, by rising position. */
  readonly delays: readonly (readonly [position: number, dueMs: number])[];
  /** By rising position. Their events in the settled ranges are not settled. */
  readonly parked: readonly ParkedMark[];
  /** How many those are. */
  readonly parkedEvents: number;
  /** First position that the counters are about. */
  readonly start?: number;
  /** Everything up to here was looked at, unsettled events among it. */
  readonly looked?: number;
}

/** Of a mark. */
export const MARK_BYTES = 12;
/** Most of two packed numbers. */
const PAIR_BYTES_MAX = 16;

/** What is read of the state before what is packed behind it. */
interface Head {
  readonly counters: Counters;
  readonly start?: number;
  readonly looked?: number;
  /** How many follow. */
  readonly failures: number;
  readonly parked: number;
  readonly delays?: number;
  /** The first one of them, ms since the epoch. */
  readonly delaysFrom?: number;
  readonly parkedEvents: number;
}

/** JSON for what is small, a NUL, and packed numbers for what may be many. */
export function encodeState(state: PartitionState): Uint8Array {
  const { counters, start, looked, failures, delays, parked, parkedEvents } = state;
  const delaysFrom = firstDueMs(delays);
  const head: Head = {
    counters,
    ...(start === undefined ? {} : { start }),
    ...(looked === undefined ? {} : { looked }),
    failures: failures.length,
    parked: parked.length,
    ...(delays.length === 0 ? {} : { delays: delays.length, delaysFrom }),
    parkedEvents,
  };
  const text = Buffer.from(`${JSON.stringify(head)}\0`);
  const pairs = failures.length + parked.length + delays.length;
  const many = pairs * PAIR_BYTES_MAX + parked.length * MARK_BYTES;
  const out = Buffer.alloc(text.length + many);
  let at = text.copy(out);
  let before = 0;
  for (const [position, count] of failures) {
    at = writeVarint(out, at, position - before);
    at = writeVarint(out, at, count);
    before = position;
  }
  before = 0;
  for (const { mark, from } of parked) {
    at += out.write(mark, at, 'base64url');
    at = writeVarint(out, at, from - before);
    before = from;
  }
  before = 0;
  for (const [position, dueMs] of delays) {
    at = writeVarint(out, at, position - before);
    at = writeVarint(out, at, Math.ceil(dueMs) - delaysFrom);
    before = position;
  }
  return out.subarray(0, at);
}

/** They are packed as what they are behind this, in whole ms. */
export function firstDueMs(delays: PartitionState['delays']): number {
  let first = Infinity;
  for (const [, dueMs] of delays) first = Math.min(first, Math.ceil(dueMs));
  return first;
}

/** The state in a cursor; undefined for a cursor that has none yet. */
export function decodeState(bytes: Uint8Array): PartitionState | undefined {
  if (bytes.length === 0) return undefined;
  const end = bytes.indexOf(0);
  const text = end < 0 ? bytes : bytes.subarray(0, end);
  const head = JSON.parse(new TextDecoder().decode(text)) as Partial<Head>;
  const { counters, start, looked, parkedEvents = 0, delaysFrom = 0 } = head;
  const reader = new WireReader(asBuffer(bytes), text.length + 1);
  return {
    counters: { ...NO_COUNTS, ...counters },
    failures: readPairs(reader, head.failures),
    parked: readParked(reader, head.parked),
    delays: readPairs(reader, head.delays).map(([at, since]) => [at, since + delaysFrom]),
    parkedEvents,
    ...(typeof start === 'number' ? { start } : {}),
    ...(typeof looked === 'number' ? { looked } : {}),
  };
}

/** By position. Of an earlier build's state `count` is no number, and they begin anew. */
function readPairs(reader: WireReader, count: unknown): [number, number][] {
  const pairs: [number, number][] = [];
  let before = 0;
  for (let left = typeof count === 'number' ? count : 0; left > 0; left--) {
    before += reader.varint();
    pairs.push([before, reader.varint()]);
  }
  return pairs;
}

function readParked(reader: WireReader, count = 0): ParkedMark[] {
  const parked: ParkedMark[] = [];
  let before = 0;
  for (let left = count; left > 0; left--) {
    const end = reader.at + MARK_BYTES;
    const mark = reader.bytes.toString('base64url', reader.at, end);
    reader.at = end;
    before += reader.varint();
    parked.push({ mark, from: before });
  }
  return parked;
}
