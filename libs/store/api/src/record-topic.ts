import { asBuffer, decodeRecord, topicMatches } from '@eventmesh/event';

/** Field 1 of a record, length-delimited: the topic, which the encoder writes first. */
const TOPIC_TAG = 0x0a;

/** The topic of an encoded record; looks no further than the first field when it can. */
export function recordTopic(record: Uint8Array): string {
  const length = record[1];
  if (record[0] === TOPIC_TAG && length !== undefined && length < 0x80) {
    if (2 + length <= record.length) return asBuffer(record).utf8Slice(2, 2 + length);
  }
  return decodeRecord(record).topic;
}

/** Whether a read with these filters wants a record; no filters want all. */
export function wantsRecord(filters: readonly string[], record: Uint8Array): boolean {
  if (filters.length === 0) return true;
  const topic = recordTopic(record);
  return filters.some((filter) => topicMatches(filter, topic));
}
