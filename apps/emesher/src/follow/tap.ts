import type { RecordView } from '@eventmesh/event';
import type { Condition } from '@eventmesh/filter';

/**
 * Something that reads a partition: a subscription or a link sender. Called synchronously and in
 * rising order of positions; must not throw. With topic filters it is not told how far was looked
 * until it takes something, leaves, or its handle is asked to `refresh`.
 */
export interface Tap {
  /** Only records whose topic one of these matches are offered; undefined: all of them. */
  readonly topicFilters: readonly string[] | undefined;
  /**
   * Beside topic filters: what a record must have to be of use to the tap. One that has not may be
   * left out, and then counts among the others.
   */
  readonly conditions?: readonly Condition[];
  /**
   * The subscription that it reads for: a redriven record is offered to its own one alone, and
   * counts among the others at every other tap with topic filters. Absent: for none.
   */
  readonly recipient?: string;
  /**
   * False while it holds enough; call `resume` of its handle when that changes. With topic filters
   * it is offered nothing then; without, a batch that was begun is offered to its end.
   */
  readonly ready: boolean;
  /**
   * False while it has enough to go on with, though it could hold more: a reader of its own, which
   * catches up, waits for `resume`, so that what it reads is handed out while it is young. Never true
   * while it is not `ready`.
   */
  readonly hungry: boolean;
  /** Up to here what is not offered was counted in an earlier life of it; 0 for nothing. Fixed. */
  boundary(partition: number): number;
  /** Answers whether it has taken the record; one that it has not counts among the others. */
  offer(partition: number, position: number, record: RecordView): boolean;
  /**
   * Everything up to here was looked at; `others` positions since the last time, of those behind the
   * boundary, were not offered, or not taken. What passes through the site is among them.
   */
  advance(partition: number, upTo: number, others: number): void;
  /** Positions that are no longer in the store. */
  gap(partition: number, from: number, to: number): void;
}

/** A tap's place in a partition. */
export interface TapHandle {
  /** The tap is ready again. */
  resume(): void;
  /** The tap is told of all that was looked at for it so far. */
  refresh(): void;
  /** The tap is told of the rest; nothing is called after this. */
  close(): void;
}

/** A redriven dead letter is for the subscription that gave it up. */
export function mayHave(tap: Tap, { handling }: RecordView): boolean {
  return handling.onlySubscription === '' || handling.onlySubscription === tap.recipient;
}
