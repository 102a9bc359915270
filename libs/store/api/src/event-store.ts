import type { StoreCapability } from './capabilities.ts';
import type { DurabilityClass } from './durability.ts';

export type { DurabilityClass };

/** How strong a store is, found out from the live server and not assumed. */
export interface DurabilityProfile {
  /** Name of the plugin: `embedded`, `jetstream`. */
  readonly store: string;
  readonly durability: DurabilityClass;
  /** How the class was found out, one fact a line. */
  readonly evidence: readonly string[];
  /** What keeps it from being stronger and what to change; empty when nothing does. */
  readonly warnings: readonly string[];
  /** Largest record in bytes. */
  readonly recordBytesMax: number;
}

export interface LogSpec {
  /** See `checkLogName`. */
  readonly name: string;
  /** 1 to 64. May grow later, never shrink. */
  readonly partitions: number;
  /** Drop records older than this; 0 keeps them. */
  readonly retentionMs: number;
  /** Drop the oldest records of a partition beyond this; 0 keeps them. */
  readonly retentionBytes: number;
  /** How many of the last dedup keys of a partition are remembered. 0 to 10,000,000. */
  readonly duplicateWindow: number;
}

export interface PartitionInfo {
  readonly partition: number;
  /** First position still stored; one past `last` when empty. */
  readonly first: number;
  /** Last position stored; 0 when nothing ever was. */
  readonly last: number;
  readonly bytes: number;
}

export interface LogInfo {
  readonly spec: LogSpec;
  readonly partitions: readonly PartitionInfo[];
}

export interface AppendRecord {
  /** An encoded eventmesh.event.v1.Record. The store keeps a reference until the receipt. */
  readonly bytes: Uint8Array;
  /** Two records of a partition with equal keys are duplicates within the window. */
  readonly dedupKey?: string;
}

/**
 * A chain of appends by one producer into one partition: applied only when `previous` is the last
 * sequence stored for `id`. A batch whose `last` is not above the stored one was applied before
 * and is answered as all duplicates (positions 0 when they are not known any more).
 */
export interface ProducerSequence {
  readonly id: string;
  readonly previous: number;
  readonly last: number;
}

/**
 * Records numbered by an idempotent producer, which spreads its numbers over partitions: of each
 * partition the store keeps the session's epoch and last sequence, atomically with the records. A
 * record whose sequence is not above the last one was stored before and is a duplicate (position 0
 * when it is not known any more). A greater epoch starts over at 0. A partition remembers its last
 * `PRODUCER_SESSIONS_MAX` sessions; of one that was quiet for longer than all those, nothing.
 */
export interface ProducerSession {
  /** 1 to 256 characters without NUL. */
  readonly id: string;
  /** 1 to 2^31 - 1. A smaller one than the stored one is refused. */
  readonly epoch: number;
  /** Of each record of the batch, in order; 1 to 2^53 - 1. May have gaps. */
  readonly sequences: readonly number[];
}

/** 1 to 1,000 records for one partition: all of them or none. */
export interface AppendBatch {
  readonly log: string;
  readonly partition: number;
  readonly records: readonly AppendRecord[];
  /** Not together with `session`. */
  readonly producer?: ProducerSequence;
  /** Not together with `producer`. */
  readonly session?: ProducerSession;
}

/** Parallel to the batch's records. */
export interface AppendReceipt {
  /** From 1, rising by one for each record stored; for a duplicate where the first one lies. */
  readonly positions: readonly number[];
  /** Indexes of records that were duplicates and not stored again. */
  readonly duplicates: readonly number[];
  readonly durability: DurabilityClass;
}

export type ReadFrom =
  /** From 1; what is gone of it is reported as a gap. 0: the first one still stored, no gap. */
  | { readonly kind: 'position'; readonly position: number }
  /** First record stored at or after, ms since the epoch. */
  | { readonly kind: 'time'; readonly timeMs: number }
  /** Only what is stored after the reader has said `opened`. */
  | { readonly kind: 'tail' };

export interface ReadOptions {
  readonly log: string;
  readonly partition: number;
  readonly from: ReadFrom;
  /** End after the record that was last when the read began. Default: wait for more. */
  readonly stopAtEnd?: boolean;
  /** A hint: records whose topic no filter matches may be left out. */
  readonly topicFilters?: readonly string[];
  /** Bytes of records that may be read ahead of the consumer. Default 4 MiB. */
  readonly readAheadBytes?: number;
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
}

/**
 * `opened` comes first, once. A `gap` says which positions were asked for and are gone. In a
 * `batch`, `positions` and `records` are parallel and rising, and everything up to `upTo` was
 * looked at; record bytes stay valid for ever, may be shared with other readers and must not be
 * written to.
 */
export type ReadItem =
  | { readonly kind: 'opened'; readonly position: number }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  | {
      readonly kind: 'batch';
      readonly positions: readonly number[];
      readonly records: readonly Uint8Array[];
      readonly upTo: number;
    };

export interface CursorId {
  readonly log: string;
  readonly partition: number;
  /** 1 to 256 characters without NUL. */
  readonly subscription: string;
}

/** Both ends included. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

export interface Cursor {
  /** Everything below is settled. */
  readonly floor: number;
  /** Settled positions at or above the floor; ascending, not touching. */
  readonly settled: readonly PositionRange[];
  /** Fencing epoch of the owner that wrote it. */
  readonly epoch: number;
  /** Opaque to the store. */
  readonly state: Uint8Array;
}

export interface CursorCommit {
  readonly id: CursorId;
  readonly cursor: Cursor;
}

/** How full the queues of a store are now; those that a plugin does not have are left out. */
export interface StoreQueues {
  /** Bytes of records whose appends wait for their receipts. */
  readonly pendingBytes?: number;
  /** Commits, or frames to a store-gateway, that the busiest partition has under way. */
  readonly inFlight?: number;
  /** Cursors whose commits wait to be sent. */
  readonly waitingCursors?: number;
  /** Bytes that the fullest reader has read ahead. */
  readonly readAheadBytes?: number;
}

/**
 * A durable log. All plugins and the remote client pass one contract suite. Errors are MeshErrors;
 * Unavailable means that the outcome of an append is unknown and the same batch may be sent again.
 */
export interface EventStore {
  readonly capabilities: ReadonlySet<StoreCapability>;

  /** Asks the live server; may be called at any time. */
  profile(): Promise<DurabilityProfile>;

  /**
   * Creates a log or brings it to this spec; idempotent.
   * @throws FailedPrecondition when it would lose partitions.
   */
  ensureLog(spec: LogSpec): Promise<LogInfo>;

  /** Undefined when there is no such log. */
  logInfo(name: string): Promise<LogInfo | undefined>;

  listLogs(): Promise<LogInfo[]>;

  /**
   * Appends to one partition, all or nothing, and resolves once it is as durable as the receipt
   * says. Calls for one partition are applied in call order; many may be in flight, and what is
   * waiting is committed together.
   * @throws NotFound (log), InvalidArgument, PayloadTooLarge, ResourceExhausted (disk full, or with
   *   reason STORE_BUSY too many bytes that wait), Unavailable, Aborted: a producer out of sequence (`details.facts.last` is the stored one), or
   *   a session of an older epoch (reason PRODUCER_FENCED, `details.facts.epoch` is the stored one).
   */
  append(batch: AppendBatch): Promise<AppendReceipt>;

  /**
   * Pull-paced: the store reads ahead a bounded number of bytes and then waits.
   * @throws NotFound (log), InvalidArgument, Unavailable, and DataLoss when what is stored is
   *   damaged or missing without a trim: nothing is skipped, and nothing repaired.
   */
  read(options: ReadOptions): AsyncIterable<ReadItem>;

  /**
   * Stores cursors durably, each compare-and-set on its epoch: refused when a greater epoch has
   * written. Answers the indexes that were refused.
   */
  commitCursors(commits: readonly CursorCommit[]): Promise<number[]>;

  loadCursor(id: CursorId): Promise<Cursor | undefined>;

  deleteCursor(id: CursorId): Promise<void>;

  /** All cursors of a log, ordered by partition and subscription. @throws NotFound (log). */
  listCursors(log: string): Promise<CursorId[]>;

  /** The last sequence stored for a producer; 0 when there is none. */
  producerSequence(log: string, partition: number, producer: string): Promise<number>;

  /** Drops everything below `before`. Positions are never used again. */
  trim(log: string, partition: number, before: number): Promise<void>;

  /** Quick, for gauges; never throws. */
  queues(): StoreQueues;

  /** Answers when the store does; throws Unavailable. */
  ping(): Promise<void>;

  /** Waits for appends in flight; later calls throw Unavailable. Idempotent. */
  close(): Promise<void>;
}
