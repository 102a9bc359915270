import { invalid, tooLarge } from '@eventmesh/errors';
import type { AppendBatch, CursorId, LogSpec, ProducerSession } from './event-store.ts';
import { checkLogName } from './names.ts';

/** Largest record of the plugins in bytes: the largest event and 64 KiB of envelope. */
export const RECORD_BYTES_MAX = 1024 * 1024 + 64 * 1024;
/** Most records of one append. */
export const BATCH_RECORDS_MAX = 1000;
/** Most bytes of records of one append. */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;
export const PARTITIONS_MAX = 64;
export const DUPLICATE_WINDOW_MAX = 10_000_000;
const SESSION_EPOCH_MAX = 2 ** 31 - 1;
const DEDUP_KEY_LENGTH_MAX = 8192;
const SUBSCRIPTION_LENGTH_MAX = 256;

/** @throws MeshError InvalidArgument that names the field of the spec. */
export function checkLogSpec(spec: LogSpec): void {
  checkLogName(spec.name);
  checkCount('partitions', spec.partitions, 1, PARTITIONS_MAX);
  checkCount('retentionMs', spec.retentionMs, 0, Number.MAX_SAFE_INTEGER);
  checkCount('retentionBytes', spec.retentionBytes, 0, Number.MAX_SAFE_INTEGER);
  checkCount('duplicateWindow', spec.duplicateWindow, 0, DUPLICATE_WINDOW_MAX);
}

/**
 * Checks the shape and size of a batch before anything is done with it.
 *
 * @throws MeshError InvalidArgument or PayloadTooLarge.
 * @returns the bytes of its records.
 */
export function checkAppendBatch(batch: AppendBatch, recordBytesMax = RECORD_BYTES_MAX): number {
  const { records, producer, session } = batch;
  checkCount('records', records.length, 1, BATCH_RECORDS_MAX);
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    const size = record.bytes.length;
    if (size === 0) throw invalid(`records[${index}]`, 'is empty');
    if (size > recordBytesMax) {
      throw tooLarge(
        `records[${index}]`,
        `has ${size} bytes; the limit is ${recordBytesMax}`,
        `${recordBytesMax} bytes`,
      );
    }
    if (record.dedupKey !== undefined && record.dedupKey.length > DEDUP_KEY_LENGTH_MAX) {
      throw invalid(`records[${index}].dedupKey`, 'is too long', {
        limit: `${DEDUP_KEY_LENGTH_MAX} characters`,
      });
    }
    bytes += size;
  }
  if (bytes > BATCH_BYTES_MAX) {
    throw tooLarge('records', `have ${bytes} bytes together`, `${BATCH_BYTES_MAX} bytes`);
  }
  if (producer !== undefined) {
    checkName('producer.id', producer.id);
    checkCount('producer.previous', producer.previous, 0, Number.MAX_SAFE_INTEGER);
    checkCount('producer.last', producer.last, 1, Number.MAX_SAFE_INTEGER);
    if (producer.last <= producer.previous) {
      throw invalid('producer.last', `${producer.last} is not above previous ${producer.previous}`);
    }
  }
  if (session !== undefined) checkSession(session, batch);
  return bytes;
}

function checkSession(session: ProducerSession, { records, producer }: AppendBatch): void {
  if (producer !== undefined) throw invalid('session', 'cannot be together with a producer');
  checkName('session.id', session.id);
  checkCount('session.epoch', session.epoch, 1, SESSION_EPOCH_MAX);
  if (session.sequences.length !== records.length) {
    throw invalid(
      'session.sequences',
      `are ${session.sequences.length} for ${records.length} records`,
    );
  }
  for (const [index, sequence] of session.sequences.entries()) {
    checkCount(`session.sequences[${index}]`, sequence, 1, Number.MAX_SAFE_INTEGER);
  }
}

/** @throws MeshError InvalidArgument. */
export function checkCursorId(id: CursorId): void {
  checkLogName(id.log);
  checkName('subscription', id.subscription);
}

function checkName(field: string, name: string): void {
  if (name === '' || name.length > SUBSCRIPTION_LENGTH_MAX || name.includes('\0')) {
    throw invalid(field, 'must be 1 to 256 characters without NUL', {
      limit: `${SUBSCRIPTION_LENGTH_MAX} characters`,
    });
  }
}

function checkCount(field: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalid(field, `${value} is not a whole number between ${min} and ${max}`, {
      limit: `${min} to ${max}`,
    });
  }
}
