import { wantsRecord, type ReadItem } from '@eventmesh/store-api';
import { decodeHeaders, joinRecord } from './message.ts';
import { headerReader } from './raw-message.ts';
import type { Delivered } from './stream-pull.ts';

const BATCH_BYTES_MAX = 256 * 1024;

/** How far a reader is, and what it makes of what comes. */
export class Walk {
  next: number;
  readonly end: number;
  readonly bytesMax: number;
  readonly #filters: readonly string[];

  constructor(next: number, end: number, filters: readonly string[], bytesMax: number) {
    this.next = next;
    this.end = end;
    this.bytesMax = bytesMax;
    this.#filters = filters;
  }

  get done(): boolean {
    return this.next > this.end;
  }

  /** A gap when positions that are still wanted are gone. */
  *trimmed(first: number): Generator<ReadItem> {
    if (first <= this.next) return;
    yield { kind: 'gap', from: this.next, to: Math.min(first - 1, this.end) };
    this.next = first;
  }

  /** An empty batch that tells how far was looked. */
  *lookedAt(upTo: number): Generator<ReadItem> {
    if (upTo < this.next) return;
    yield { kind: 'batch', positions: [], records: [], upTo };
    this.next = upTo + 1;
  }

  *take(delivered: readonly Delivered[], filtered: boolean): Generator<ReadItem> {
    const bytesMax = Math.min(BATCH_BYTES_MAX, this.bytesMax);
    let positions: number[] = [];
    let records: Buffer[] = [];
    let bytes = 0;
    const flush = function* (walk: Walk, upTo: number): Generator<ReadItem> {
      if (upTo < walk.next) return;
      const batch = { positions, records };
      positions = [];
      records = [];
      bytes = 0;
      walk.next = upTo + 1;
      yield { kind: 'batch', ...batch, upTo };
    };
    let upTo = this.next - 1;
    for (const { position, message } of delivered) {
      if (position < this.next || this.done) continue;
      if (position > this.end) {
        yield* flush(this, this.end);
        return;
      }
      // Without a filter, what does not come was trimmed: that was asked before.
      if (!filtered && position > upTo + 1) {
        yield* flush(this, upTo);
        yield* this.trimmed(position);
      }
      const record = joinRecord(decodeHeaders(headerReader(message)), message.data);
      if (wantsRecord(this.#filters, record)) {
        if (records.length > 0 && bytes + record.length > bytesMax) yield* flush(this, upTo);
        positions.push(position);
        records.push(record);
        bytes += record.length;
      }
      upTo = position;
    }
    yield* flush(this, upTo);
  }
}
