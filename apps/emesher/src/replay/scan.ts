import { decodeRecord, topicMatches, type RecordView } from '@eventmesh/event';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import type { Window } from './window.ts';

/** What a scan finds, in rising order of positions; `upTo` and `to` were looked at. */
export type Scanned =
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  | {
      readonly kind: 'part';
      readonly upTo: number;
      /** Records that the topic filters match. */
      readonly found: readonly { readonly position: number; readonly record: RecordView }[];
      /** Records that they do not match, and those that are not for it. */
      readonly others: number;
    };

export interface ScanOptions {
  readonly store: EventStore;
  readonly log: string;
  readonly window: Window;
  readonly topicFilters: readonly string[];
  /** Name of the subscription: redriven records of others are none of its business. */
  readonly subscription: string;
  readonly readAheadBytes: number;
  readonly signal: AbortSignal;
}

/** Reads a window with a stream of its own, no faster than it is asked for. */
export async function* scan(options: ScanOptions): AsyncGenerator<Scanned> {
  const { store, log, window, topicFilters, readAheadBytes, signal } = options;
  const { partition, to } = window;
  let next = window.from;
  if (next > to) return;
  const from = { kind: 'position', position: next } as const;
  const reading = { log, partition, from, stopAtEnd: true, topicFilters, readAheadBytes, signal };
  for await (const item of store.read(reading)) {
    if (item.kind === 'opened') continue;
    if (item.kind === 'gap') {
      yield { kind: 'gap', from: Math.max(next, item.from), to: Math.min(to, item.to) };
      next = item.to + 1;
    } else {
      yield part(item, next, options);
      next = item.upTo + 1;
    }
    if (next > to) return;
  }
  // The store has nothing more up to where the window ends, and says so by ending.
  if (!signal.aborted) yield { kind: 'part', upTo: to, found: [], others: to - next + 1 };
}

function part(
  batch: Extract<ReadItem, { kind: 'batch' }>,
  next: number,
  { window, topicFilters, subscription }: ScanOptions,
): Scanned {
  const found: { position: number; record: RecordView }[] = [];
  const upTo = Math.min(batch.upTo, window.to);
  for (const [index, position] of batch.positions.entries()) {
    if (position > upTo) break;
    const record = decodeRecord(batch.records[index] ?? NO_BYTES);
    const { onlySubscription } = record.handling;
    if (record.transit) continue;
    if (onlySubscription !== '' && onlySubscription !== subscription) continue;
    if (topicFilters.some((filter) => topicMatches(filter, record.topic))) {
      found.push({ position, record });
    }
  }
  return { kind: 'part', upTo, found, others: upTo + 1 - next - found.length };
}

const NO_BYTES = new Uint8Array(0);
