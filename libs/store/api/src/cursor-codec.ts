import type { Cursor, CursorId } from './event-store.ts';
import { seal, unseal } from './sealed.ts';

interface StoredCursor {
  readonly floor: number;
  readonly epoch: number;
  /** From, to, from, to, … */
  readonly settled: readonly number[];
  /** Base64. */
  readonly state: string;
}

/** A cursor as the plugins keep it: JSON with a checksum. */
export function encodeCursor(cursor: Cursor): Buffer {
  const stored: StoredCursor = {
    floor: cursor.floor,
    epoch: cursor.epoch,
    settled: cursor.settled.flatMap(({ from, to }) => [from, to]),
    state: Buffer.from(cursor.state).toString('base64'),
  };
  return seal(stored);
}

/** @throws MeshError DataLoss when the bytes are not a cursor; `id` says to people which one. */
export function decodeCursor(bytes: Uint8Array, id?: CursorId): Cursor {
  const stored = unseal<StoredCursor>(bytes, nameOf(id));
  const settled = [];
  for (let at = 0; at + 1 < stored.settled.length; at += 2) {
    settled.push({ from: stored.settled[at] ?? 0, to: stored.settled[at + 1] ?? 0 });
  }
  const state = Buffer.from(stored.state, 'base64');
  return { floor: stored.floor, settled, epoch: stored.epoch, state: new Uint8Array(state) };
}

function nameOf(id: CursorId | undefined): string {
  if (id === undefined) return 'a cursor';
  const { log, partition, subscription } = id;
  return `the cursor of subscription "${subscription}" in log "${log}", partition ${partition},`;
}
