export type {
  AppendBatch,
  AppendReceipt,
  AppendRecord,
  Cursor,
  CursorCommit,
  CursorId,
  DurabilityClass,
  DurabilityProfile,
  EventStore,
  LogInfo,
  LogSpec,
  PartitionInfo,
  PositionRange,
  ProducerSequence,
  ProducerSession,
  ReadFrom,
  ReadItem,
  ReadOptions,
  StoreQueues,
} from './event-store.ts';
export { DURABILITY_CLASSES, atLeast } from './durability.ts';
export { STORE_CAPABILITIES, type StoreCapability } from './capabilities.ts';
export { checkLogName } from './names.ts';
export {
  BATCH_BYTES_MAX,
  BATCH_RECORDS_MAX,
  DUPLICATE_WINDOW_MAX,
  PARTITIONS_MAX,
  RECORD_BYTES_MAX,
  checkAppendBatch,
  checkCursorId,
  checkLogSpec,
} from './checks.ts';
export { DuplicateWindow } from './duplicate-window.ts';
export { decodeCursor, encodeCursor } from './cursor-codec.ts';
export { seal, unseal } from './sealed.ts';
export { recordTopic, wantsRecord } from './record-topic.ts';
export {
  PRODUCER_SESSIONS_MAX,
  ProducerSessions,
  judgeSession,
  type SessionState,
} from './producer-sessions.ts';
export {
  outOfSequence,
  positionsMissing,
  producerFenced,
  storeBusy,
  storeClosed,
  unknownLog,
  unknownPartition,
} from './store-errors.ts';
