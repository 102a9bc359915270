import { WireReader, writeVarint } from '@eventmesh/event';
import type { Cursor, CursorId, PositionRange } from './event-store.ts';
import { seal, unseal } from './sealed.ts';

interface StoredCursor {
  readonly floor: number;
  readonly epoch: number;
  /**
   * Base64 of varints: how far each range begins behind the end of the one before it, and how far
   * it reaches from there. The first one begins behind the floor.
   */
  readonly ranges: string;
  /** Base64. */
  readonly state: string;
}

/** A cursor as the plugins keep it: JSON with a checksum. */
export function encodeCursor(cursor: Cursor): Buffer {
  const stored: StoredCursor = {
    floor: cursor.floor,
    epoch: cursor.epoch,
    ranges: packRanges(cursor).toString('base64'),
    state: Buffer.from(cursor.state).toString('base64'),
  };
  return seal(stored);
}

/** @throws MeshError DataLoss when the bytes are not a cursor; `id` says to people which one. */
export function decodeCursor(bytes: Uint8Array, id?: CursorId): Cursor {
  const stored = unseal<StoredCursor>(bytes, nameOf(id));
  const settled = unpackRanges(stored);
  const state = Buffer.from(stored.state, 'base64');
  return { floor: stored.floor, settled, epoch: stored.epoch, state: new Uint8Array(state) };
}

/** Most bytes of two packed numbers. */
const PAIR_BYTES_MAX = 16;

function packRanges({ floor, settled }: Pick<Cursor, 'floor' | 'settled'>): Buffer {
  const out = Buffer.allocUnsafe(settled.length * PAIR_BYTES_MAX);
  let at = 0;
  let before = floor;
  for (const { from, to } of settled) {
    at = writeVarint(out, at, from - before);
    at = writeVarint(out, at, to - from);
    before = to;
  }
  return out.subarray(0, at);
}

function unpackRanges({ floor, ranges = '' }: Partial<StoredCursor>): PositionRange[] {
  // A cursor of an earlier build has none: what it says is settled above its floor comes again.
  const reader = new WireReader(Buffer.from(ranges, 'base64'));
  const settled: PositionRange[] = [];
  for (let before = floor ?? 0; !reader.done;) {
    const from = before + reader.varint();
    before = from + reader.varint();
    settled.push({ from, to: before });
  }
  return settled;
}

function nameOf(id: CursorId | undefined): string {
  if (id === undefined) return 'a cursor';
  const { log, partition, subscription } = id;
  return `the cursor of subscription "${subscription}" in log "${log}", partition ${partition},`;
}
