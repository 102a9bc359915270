export {
  TOPIC_BYTES_MAX,
  TOPIC_LEVELS_MAX,
  checkTopic,
  checkTopicFilter,
  filterCovers,
  filtersIntersect,
  topicMatches,
} from './topic.ts';
export {
  EventView,
  attributeText,
  decodeAttribute,
  parseTimestamp,
  timestampText,
  type AttributeValue,
  type EventData,
} from './cloud-event.ts';
export { encodeAttribute, encodeEvent, type EventParts } from './build-event.ts';
export { DEFAULT_EVENT_LIMITS, checkEvent, type EventLimits } from './check-event.ts';
export { NO_HANDLING, NO_REVISIONS, type Handling, type Revisions } from './handling.ts';
export type { Hop } from './hops.ts';
export {
  RecordEncoder,
  encodeRecord,
  hasExpired,
  type RecordChanges,
  type RecordHead,
  type RecordView,
} from './record.ts';
export { decodeRecord } from './decode-record.ts';
export { RecordSpans, type Span } from './record-spans.ts';
export {
  WireReader,
  asBuffer,
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
  writeVarint,
} from './protobuf.ts';
export {
  JSON_EVENT_LIMITS,
  atomicFault,
  decodeJsonBatch,
  decodeJsonEvent,
  encodeJsonBatch,
  encodeJsonEvent,
  inBatch,
  type JsonEventLimits,
} from './json-event.ts';
export {
  STRICT_JSON_LIMITS,
  isJsonText,
  parseStrictJson,
  type StrictJsonLimits,
} from './json-scan.ts';
export { JSON_DATA_BYTES_MAX } from './json-data.ts';
export { decodeHeaderValue, encodeHeaderValue } from './http-header.ts';
export { charset, isJsonContentType, isTextContentType, mediaType } from './media-type.ts';
