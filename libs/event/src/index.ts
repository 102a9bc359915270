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
  parseTimestamp,
  timestampText,
  type AttributeValue,
  type EventData,
} from './cloud-event.ts';
export { encodeEvent, type EventParts } from './build-event.ts';
export { DEFAULT_EVENT_LIMITS, checkEvent, type EventLimits } from './check-event.ts';
export {
  RecordEncoder,
  decodeRecord,
  encodeRecord,
  type Hop,
  type RecordChanges,
  type RecordHead,
  type RecordView,
} from './record.ts';
export { asBuffer } from './protobuf.ts';
