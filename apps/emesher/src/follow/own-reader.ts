import { decodeRecord, topicMatches, type RecordView } from '@eventmesh/event';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import { nextTurn } from '@eventmesh/time';
import { mayHave, type Tap } from './tap.ts';

type Batch = Extract<ReadItem, { kind: 'batch' }>;

/** A partition, and how it is read. */
export interface Source {
  readonly store: EventStore;
  readonly log: string;
  readonly partition: number;
  /** Bytes that the store may read ahead of each reader. */
  readonly readAheadBytes: number;
}

/** How far a tap has come. */
export interface TapPlace {
  readonly tap: Tap;
  /** Next position it has to be told about. */
  next: number;
  /** Everything up to here is in its books, see `Tap.boundary`. */
  readonly boundary: number;
  readonly closed: boolean;
}

/** Tells a tap that all before `next` was looked at; of what is new to its books it has `taken`. */
export function passTo(place: TapPlace, partition: number, next: number, taken: number): void {
  if (place.next >= next) return;
  // By positions: one that has no record here, or that a store left out by the filters, is passed, too.
  const fresh = Math.max(0, next - Math.max(place.next, place.boundary + 1));
  place.next = next;
  place.tap.advance(partition, next - 1, fresh - taken);
}

/** Records that one tap catches up with before others have their turn. */
const TURN_RECORDS = 32;

/**
 * Reads for one tap that is behind, until it has enough or has come to what was the end of the store
 * when this began. It knows nothing of the shared reader: whether its tail is met by then is for the
 * follower to see.
 */
export async function readSome(
  source: Source,
  place: TapPlace,
  signal: AbortSignal,
): Promise<void> {
  const { store, log, partition, readAheadBytes } = source;
  const from = { kind: 'position', position: place.next } as const;
  const { topicFilters } = place.tap;
  const options = {
    log,
    partition,
    from,
    readAheadBytes,
    stopAtEnd: true,
    signal,
    ...(topicFilters === undefined ? {} : { topicFilters }),
  };
  let records = 0;
  for await (const item of store.read(options)) {
    if (place.closed) break;
    if (item.kind === 'gap') {
      place.next = item.to + 1;
      place.tap.gap(partition, item.from, item.to);
    } else if (item.kind === 'batch') {
      handOver(partition, place, item);
      records += item.records.length;
    }
    if (!place.tap.hungry) break;
    if (records < TURN_RECORDS) continue;
    records = 0;
    await nextTurn();
  }
}

/** Up to its end, or, with topic filters, to where the tap is full. */
function handOver(partition: number, place: TapPlace, batch: Batch): void {
  const { tap, boundary } = place;
  const { topicFilters } = tap;
  let taken = 0;
  for (let i = 0; i < batch.positions.length; i++) {
    const position = batch.positions[i] ?? 0;
    const record = decodeRecord(batch.records[i] ?? NO_BYTES);
    if (topicFilters !== undefined) {
      if (!wants(tap, topicFilters, record)) continue;
      if (!tap.ready) return passTo(place, partition, position, taken);
    }
    if (tap.offer(partition, position, record) && position > boundary) taken++;
  }
  passTo(place, partition, batch.upTo + 1, taken);
}

function wants(tap: Tap, filters: readonly string[], record: RecordView): boolean {
  if (record.transit || !mayHave(tap, record)) return false;
  return filters.some((filter) => topicMatches(filter, record.topic));
}

const NO_BYTES = new Uint8Array(0);
