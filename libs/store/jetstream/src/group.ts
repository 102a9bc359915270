import type { MeshError } from '@eventmesh/errors';
import type {
  AppendBatch,
  AppendReceipt,
  AppendRecord,
  DuplicateWindow,
} from '@eventmesh/store-api';
import { markLine } from './message.ts';
import type { ProducerBook, ProducerMark } from './producer-book.ts';

/** Messages of one atomic batch; the server takes at most 1,000. */
const GROUP_MESSAGES = 500;
const GROUP_MESSAGES_MAX = 1000;
const GROUP_BYTES = 4 * 1024 * 1024;

/** An append that waits for its turn. */
export interface Work {
  readonly batch: AppendBatch;
  /** Of its records. */
  readonly bytes: number;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: MeshError) => void;
}

/** An append whose records are in the group that is being sent. */
export interface Applied {
  readonly work: Work;
  readonly positions: readonly number[];
  readonly duplicates: readonly number[];
  readonly mark: ProducerMark | undefined;
  /** Whether a record of its own carries the mark. */
  readonly carried: boolean;
}

/** A record of a group with header lines that only its place in the group gives it. */
export interface Outgoing {
  readonly record: AppendRecord;
  line: string;
}

/** What the writer of a partition has to know; it runs ahead of the server by what is in flight. */
export interface WriterState {
  /** Position of the last record sent. */
  last: number;
  readonly window: DuplicateWindow;
  readonly producers: ProducerBook;
}

/** How many works from the front of the queue make the next group. */
export function groupSize(queue: readonly Work[]): { count: number; messages: number } {
  let count = 0;
  let messages = 0;
  let bytes = 0;
  for (const work of queue) {
    const more = work.batch.records.length;
    if (count > 0 && (messages >= GROUP_MESSAGES || messages + more > GROUP_MESSAGES_MAX)) break;
    if (count > 0 && bytes >= GROUP_BYTES) break;
    count++;
    messages += more;
    bytes += work.bytes;
  }
  return { count, messages };
}

/**
 * Works out what of a batch is to be sent, and takes it for sent.
 *
 * @throws MeshError Aborted, before anything has changed.
 */
export function applyWork(work: Work, state: WriterState, sending: Outgoing[]): Applied {
  const { records } = work.batch;
  const { window, producers } = state;
  const admission = producers.admit(work.batch);
  const positions = new Array<number>(records.length);
  const duplicates: number[] = [];
  const first = sending.length;
  for (const [index, record] of records.entries()) {
    const { dedupKey = '' } = record;
    const found = dedupKey === '' ? undefined : window.find(dedupKey);
    if (found !== undefined || !admission.isNew(index)) {
      positions[index] = found ?? 0;
      duplicates.push(index);
      continue;
    }
    const position = ++state.last;
    if (dedupKey !== '') window.add(dedupKey, position);
    positions[index] = position;
    sending.push({ record, line: '' });
  }
  const mark = admission.markAt(state.last);
  if (mark === undefined) return { work, positions, duplicates, mark, carried: true };
  producers.sent(mark);
  const carrier = sending.length > first ? sending.at(-1) : undefined;
  if (carrier !== undefined) carrier.line = markLine(mark);
  return { work, positions, duplicates, mark, carried: carrier !== undefined };
}
