import { MeshError } from '@eventmesh/errors';
import type { Cursor } from './event-store.ts';

interface StoredCursor {
  readonly floor: number;
  readonly epoch: number;
  /** From, to, from, to, … */
  readonly settled: readonly number[];
  /** Base64. */
  readonly state: string;
}

/** A cursor as the plugins keep it: JSON, so that an operator can read it. */
export function encodeCursor(cursor: Cursor): Buffer {
  const stored: StoredCursor = {
    floor: cursor.floor,
    epoch: cursor.epoch,
    settled: cursor.settled.flatMap(({ from, to }) => [from, to]),
    state: Buffer.from(cursor.state).toString('base64'),
  };
  return Buffer.from(JSON.stringify(stored));
}

/** @throws MeshError DataLoss when the bytes are not a cursor. */
export function decodeCursor(bytes: Uint8Array): Cursor {
  let stored: StoredCursor;
  try {
    stored = JSON.parse(Buffer.from(bytes).toString()) as StoredCursor;
  } catch (error) {
    throw new MeshError('DataLoss', 'a stored cursor is not readable', {}, error);
  }
  const settled = [];
  for (let at = 0; at + 1 < stored.settled.length; at += 2) {
    settled.push({ from: stored.settled[at] ?? 0, to: stored.settled[at + 1] ?? 0 });
  }
  const state = Buffer.from(stored.state, 'base64');
  return { floor: stored.floor, settled, epoch: stored.epoch, state: new Uint8Array(state) };
}
