import type { RecordView } from '@eventmesh/event';

/**
 * Something that reads a partition: a subscription or a link sender. Called synchronously and in
 * rising order of positions; must not throw.
 */
export interface Tap {
  /** Only records whose topic one of these matches are offered; undefined: all of them. */
  readonly topicFilters: readonly string[] | undefined;
  /**
   * The subscription that it reads for: a redriven record is offered to its own one alone, and
   * counts among the others at every other tap with topic filters. Absent: for none.
   */
  readonly recipient?: string;
  /** False while it holds enough; call `resume` of its handle when that changes. */
  readonly ready: boolean;
  /** A position at which `advance` must stop once on the way; 0 for none. */
  boundary(partition: number): number;
  offer(partition: number, position: number, record: RecordView): void;
  /** Everything up to here was looked at; `others` records were not offered. */
  advance(partition: number, upTo: number, others: number): void;
  /** Positions that are no longer in the store. */
  gap(partition: number, from: number, to: number): void;
}

/** A tap's place in a partition. */
export interface TapHandle {
  /** The tap is ready again. */
  resume(): void;
  /** Nothing is called after this. */
  close(): void;
}
