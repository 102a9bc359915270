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
  ReadFrom,
  ReadItem,
  ReadOptions,
} from './event-store.ts';
export { DURABILITY_CLASSES, atLeast } from './durability.ts';
export { STORE_CAPABILITIES, type StoreCapability } from './capabilities.ts';
export { checkLogName } from './names.ts';
