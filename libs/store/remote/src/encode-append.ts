import { create, toBinary } from '@bufbuild/protobuf';
import {
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeStringField,
} from '@eventmesh/event';
import { AppendRequestSchema } from '@eventmesh/proto-gen/store';
import { PreEncoded } from '@eventmesh/rpc';
import type { AppendBatch, AppendRecord } from '@eventmesh/store-api';

const RECORDS = 4;
const DEDUP_KEYS = 5;

/**
 * Encodes appends of one partition as one frame (eventmesh.store.v1.AppendRequest):
 *
 *   int64 request_id = 1, string log = 2, uint32 partition = 3, repeated bytes records = 4,
 *   repeated string dedup_keys = 5, ProducerSequence producer = 6, ProducerSession session = 7
 *
 * The records, which are nearly all of it, go into the frame in one copy.
 */
export function encodeAppend(requestId: bigint, batches: readonly AppendBatch[]): PreEncoded {
  const head = encodeHead(requestId, batches);
  const keyed = batches.some(({ records }) =>
    records.some(({ dedupKey }) => dedupKey !== undefined),
  );
  let size = head.length;
  for (const { records } of batches) {
    for (const record of records) size += recordLength(record, keyed);
  }
  const message = new PreEncoded(size);
  const out = message.bytes;
  out.set(head, 0);
  let at = head.length;
  for (const { records } of batches) {
    for (const { bytes } of records) at = writeBytesField(out, at, RECORDS, bytes);
  }
  if (!keyed) return message;
  for (const { records } of batches) {
    for (const { dedupKey = '' } of records) at = writeKey(out, at, dedupKey);
  }
  return message;
}

/** Everything but the records and their keys. */
function encodeHead(requestId: bigint, batches: readonly AppendBatch[]): Uint8Array {
  const [first] = batches as readonly [AppendBatch];
  const { log, partition, producer, session } = first;
  const head = create(AppendRequestSchema, { requestId, log, partition });
  if (session !== undefined) {
    const sequences = batches.flatMap((batch) => batch.session?.sequences ?? []).map(BigInt);
    const whole = create(AppendRequestSchema, {
      session: { id: session.id, epoch: BigInt(session.epoch), sequences },
    });
    head.session = whole.session;
  } else if (producer !== undefined) {
    const { id, previous, last } = producer;
    const whole = create(AppendRequestSchema, {
      producer: { id, previous: BigInt(previous), last: BigInt(last) },
    });
    head.producer = whole.producer;
  }
  return toBinary(AppendRequestSchema, head);
}

function recordLength({ bytes, dedupKey = '' }: AppendRecord, keyed: boolean): number {
  const record = 1 + varintLength(bytes.length) + bytes.length;
  return keyed ? record + keyLength(dedupKey) : record;
}

/** An element of a repeated field is written also when it is empty, to stay parallel. */
const keyLength = (key: string): number =>
  key === '' ? 2 : stringFieldLength(Buffer.byteLength(key));

function writeKey(out: Buffer, at: number, key: string): number {
  if (key !== '') return writeStringField(out, at, DEDUP_KEYS, key, Buffer.byteLength(key));
  out[at] = (DEDUP_KEYS << 3) | 2;
  out[at + 1] = 0;
  return at + 2;
}
