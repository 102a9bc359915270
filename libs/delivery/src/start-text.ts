import { invalid } from '@eventmesh/errors';
import { parseTimestamp } from '@eventmesh/event';
import type { Start } from './subscription.ts';

/** How a start is written on a command line or in a query. */
export const START_FORMS =
  'latest, earliest, a time or partition:position, or after:<source> <id of an event>';

const POSITION = /^(\d{1,5}):(\d{1,15})$/;
const AFTER = /^after:(\S+) (.+)$/s;
/** A day, and perhaps a time of it, seconds, and a zone. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?$/;

/**
 * Reads a start: `latest`, `earliest`, a time as `timeFromText` reads it, `partition:position`, or
 * `after:<source> <id>`, where the first blank ends the source (a URI has none).
 *
 * @throws MeshError InvalidArgument that names `field`.
 */
export function startFromText(text: string, field: string): Start {
  if (text === 'latest' || text === 'earliest') return { kind: text };
  const [, partition, position] = POSITION.exec(text) ?? [];
  if (partition !== undefined) {
    return { kind: 'position', partition: Number(partition), position: Number(position) };
  }
  const [, source, id] = AFTER.exec(text) ?? [];
  if (source !== undefined && id !== undefined) return { kind: 'after', source, id };
  return { kind: 'time', timeMs: timeFromText(text, field, START_FORMS) };
}

/**
 * A time in ms since the epoch: RFC 3339, of which the seconds may be left out, or a day, which begins
 * in UTC.
 *
 * @throws MeshError InvalidArgument that names `field`; also for a time without a zone, which whoever
 *   reads it would take for one of its own.
 */
export function timeFromText(text: string, field: string, forms = 'a time'): number {
  const match = TIME.exec(text);
  if (match === null) {
    throw invalid(field, `"${text.slice(0, 80)}" is not ${forms}, such as 2026-05-01T12:00:00Z`);
  }
  const [, day, time, seconds = ':00', zone] = match;
  if (time !== undefined && zone === undefined) {
    throw invalid(field, `"${text}" has no zone; add Z for UTC, or an offset such as +02:00`);
  }
  const full = time === undefined ? `${day}T00:00:00Z` : `${day}T${time}${seconds}${zone}`;
  const at = parseTimestamp(full, field);
  return at.seconds * 1000 + Math.floor(at.nanos / 1_000_000);
}
