import { invalid } from '@eventmesh/errors';
import type { Start } from './subscription.ts';

/** How a start is written on a command line or in a query. */
export const START_FORMS =
  'latest, earliest, a time or partition:position, or after:<source> <id of an event>';

const POSITION = /^(\d{1,5}):(\d{1,15})$/;
const AFTER = /^after:(\S+) (.+)$/s;
const TIME = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?)?$/;

/**
 * Reads a start: `latest`, `earliest`, an ISO 8601 time, `partition:position`, or
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

/** An ISO 8601 time in ms since the epoch. @throws MeshError InvalidArgument that names `field`. */
export function timeFromText(text: string, field: string, forms = 'a time'): number {
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) {
    throw invalid(field, `"${text.slice(0, 80)}" is not ${forms}, such as 2026-05-01T12:00:00Z`);
  }
  return timeMs;
}
