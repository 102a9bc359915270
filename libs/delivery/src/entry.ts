import type { RecordView } from '@eventmesh/event';
import type { Consumer } from './consumers.ts';
import type { KeyQueue } from './key-queue.ts';
import type { Lease } from './leases.ts';
import type { PartitionProgress } from './progress.ts';

/**
 * Where a matched event stands: `ready` to go out, `out` at a consumer under a lease, `later` until
 * its delay is over, `dead` until its dead letter is durable. From `out` it may go to any of them,
 * from `later` to `ready`, from `ready` to `out` or `dead`; it ends from `out`, `ready` or `dead`.
 */
export type EntryState = 'ready' | 'out' | 'later' | 'dead';

/** An event is over: its life ended, or its owner may not receive it when its turn comes. */
export type OnEnded = (entry: Entry, how: 'expired' | 'forbidden') => void;

/** A matched event until it is settled. Changed by the engine alone; others read it. */
export class Entry {
  readonly progress: PartitionProgress;
  readonly position: number;
  readonly record: RecordView;
  /** Deliveries so far. */
  attempts: number;
  /** Deliveries that failed; only these lead to the dead letters. */
  failures: number;
  /** Why the last delivery failed. */
  reason = '';
  state: EntryState = 'ready';
  /** It lies in one of the engine's queues. */
  queued = false;

  /** While it is out. */
  lease: Lease | undefined = undefined;
  /** While it waits for a delay. */
  delay: { readonly dueMs: number } | undefined = undefined;

  /** Its place among the events of its key; undefined when no order is promised for it. */
  key: KeyQueue | undefined = undefined;
  before: Entry | undefined = undefined;
  behind: Entry | undefined = undefined;

  constructor(progress: PartitionProgress, position: number, record: RecordView, failures: number) {
    this.progress = progress;
    this.position = position;
    this.record = record;
    this.attempts = failures;
    this.failures = failures;
  }

  get partition(): number {
    return this.progress.partition;
  }

  /** Who has it. */
  get consumer(): Consumer | undefined {
    return this.lease?.consumer;
  }

  /** When its lease runs out or its delay is over, in ms; 0 while neither is so. */
  get dueMs(): number {
    return this.lease?.endMs ?? this.delay?.dueMs ?? 0;
  }
}
