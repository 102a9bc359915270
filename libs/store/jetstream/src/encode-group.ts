import { tooLarge } from '@eventmesh/errors';
import type { AppendRecord } from '@eventmesh/store-api';
import { MESSAGE_GROWTH_MAX, MessageEncoder } from './message-encoder.ts';
import type { Outgoing } from './group.ts';
import { writeAll, writeDecimal, writePadded } from './write-bytes.ts';

export interface GroupFrame {
  readonly sending: readonly Outgoing[];
  /** Subject that the partition's messages lie below. */
  readonly base: string;
  /** Id of the atomic batch; not used by a group of one message. */
  readonly batchId: string;
  /** Last sequence of the stream before the group: the fence of its one writer. */
  readonly before: number;
  /** Where the server sends the one answer. */
  readonly reply: string;
}

const SPACE = 0x20;
const LINE_END = Buffer.from('\r\n');
const VERSION = Buffer.from('NATS/1.0\r\n');
const COMMIT = Buffer.from('Nats-Batch-Commit: 1\r\n');
/** Digits of a size in a command: the server reads up to nine. */
const SIZE_DIGITS = 9;
/** What a command takes at most beside its message and the texts of the frame. */
const COMMAND_BYTES_MAX = 128;
/** Header lines of an atomic batch, and its mark, that are added to a message. */
const BATCH_HEADER_BYTES = 256;
/** Kept from group to group; one that had to grow beyond it is not. */
const SCRATCH_BYTES = 1024 * 1024;

const encoder = new MessageEncoder();
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Bytes of a record's subject, header lines and payload as a message. */
export function messageBytes(record: AppendRecord): number {
  encoder.open(record);
  const out = room(0, encoder.bytesMax);
  return encoder.writeHeaders(out, encoder.writeSubject(out, 0)) + encoder.payloadBytes;
}

/**
 * Bytes that wait with a record.
 *
 * @throws MeshError PayloadTooLarge when it is more than a server takes, `messageBytesMax`, as a message.
 */
export function checkSize(record: AppendRecord, index: number, messageBytesMax: number): number {
  const { bytes, dedupKey = '' } = record;
  const { times, bytes: more } = MESSAGE_GROWTH_MAX;
  const bytesMax = times * (bytes.length + 3 * dedupKey.length) + more;
  if (bytesMax + BATCH_HEADER_BYTES > messageBytesMax) {
    const size = messageBytes(record) + BATCH_HEADER_BYTES;
    if (size > messageBytesMax) {
      throw tooLarge(
        `records[${index}]`,
        `needs ${size} bytes as a NATS message; the server's max_payload is ${messageBytesMax}`,
        `${messageBytesMax} bytes`,
      );
    }
  }
  return bytes.length + dedupKey.length + BATCH_HEADER_BYTES;
}

/**
 * A group as the client protocol of NATS has it (`HPUB` for each message), in one frame, written once
 * and in place. More than one message make an atomic batch (ADR-50): its last one commits it and asks
 * for the answer.
 */
export function encodeGroup({ sending, base, batchId, before, reply }: GroupFrame): Buffer {
  const command = Buffer.from(`HPUB ${base}.`);
  const answer = Buffer.from(reply);
  const fence = Buffer.from(`Nats-Expected-Last-Sequence: ${before}\r\n`);
  const batch = Buffer.from(`Nats-Batch-Id: ${batchId}\r\nNats-Batch-Sequence: `);
  const texts = command.length + answer.length + fence.length + batch.length;
  const isBatch = sending.length > 1;
  let at = 0;
  for (const [index, { record, line }] of sending.entries()) {
    const isLast = index === sending.length - 1;
    encoder.open(record);
    const out = room(at, encoder.bytesMax + texts + line.length + COMMAND_BYTES_MAX);
    at = encoder.writeSubject(out, writeAll(out, at, command));
    out[at++] = SPACE;
    if (isLast) {
      at = writeAll(out, at, answer);
      out[at++] = SPACE;
    }
    // Any number of spaces separates two fields, so that the sizes can be filled in later.
    const sizesAt = at;
    out[at + SIZE_DIGITS] = SPACE;
    const headersAt = writeAll(out, at + 2 * SIZE_DIGITS + 1, LINE_END);
    at = encoder.writeHeaders(out, writeAll(out, headersAt, VERSION));
    if (line !== '') at += out.write(line, at, 'latin1');
    if (isBatch)
      at = writeAll(out, writeDecimal(out, writeAll(out, at, batch), index + 1), LINE_END);
    if (index === 0) at = writeAll(out, at, fence);
    if (isBatch && isLast) at = writeAll(out, at, COMMIT);
    at = writeAll(out, at, LINE_END);
    writePadded(out, sizesAt, at - headersAt, SIZE_DIGITS);
    at = encoder.writePayload(out, at);
    writePadded(out, sizesAt + SIZE_DIGITS + 1, at - headersAt, SIZE_DIGITS);
    at = writeAll(out, at, LINE_END);
  }
  const frame = Buffer.allocUnsafe(at);
  scratch.copy(frame, 0, 0, at);
  if (scratch.length > SCRATCH_BYTES) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  return frame;
}

/** The scratch, grown so that there is room for so many bytes behind `at`. */
function room(at: number, more: number): Buffer {
  if (at + more > scratch.length) {
    const larger = Buffer.allocUnsafeSlow(2 * (at + more));
    scratch.copy(larger, 0, 0, at);
    scratch = larger;
  }
  return scratch;
}
