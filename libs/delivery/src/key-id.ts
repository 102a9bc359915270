import { hash } from 'node:crypto';
import type { RecordView } from '@eventmesh/event';

/**
 * What events have in common whose order is promised: topic and key. Undefined for an event without
 * a key, and for a redriven one: it was given up before, its place in the order is long gone.
 */
export function orderedKey({ topic, key, handling }: RecordView): string | undefined {
  if (key === '' || handling.onlySubscription !== '') return undefined;
  // No topic has a NUL, so no two pairs make one id.
  return `${topic}\0${key}`;
}

/**
 * A key as a cursor names it: 96 bits of its SHA-1 as 16 characters. Of two keys that have one mark,
 * which nobody can prepare and chance will not bring, the other one would be delivered again after a
 * crash.
 */
export function markOf(id: string): string {
  return hash('sha1', id, 'base64url').slice(0, 16);
}
