import type { PublishItem } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import { EventView, encodeAttribute, encodeEvent, parseTimestamp } from '@eventmesh/event';

/** A hundred years. */
const LIFE_MS_MAX = 3_155_760_000_000;
/** How far ahead an event may be scheduled: a leap year. */
const AHEAD_MS_MAX = 366 * 86_400_000;

/**
 * When an event ends, 0 for never. Relative life becomes absolute here, by this emesher's clock, and
 * begins when the event is published; the earliest end counts.
 *
 * @param deliverAtMs when it will be published; 0 for now
 * @param keptMs how long the catalogue keeps events of its topic; 0 when it does not say
 */
export function expiry(
  event: EventView,
  item: PublishItem,
  nowMs: number,
  deliverAtMs: number,
  keptMs: number,
): number {
  const relative = item.expiresAfterMs ?? 0;
  if (relative !== 0 && !(relative > 0 && relative <= LIFE_MS_MAX)) {
    const limit = `1 to ${LIFE_MS_MAX} ms`;
    throw invalid('expiresAfterMs', `${relative} is out of bounds`, { limit });
  }
  const end = timeOf(event, 'expirytime');
  if (end !== undefined && deliverAtMs > nowMs && end <= deliverAtMs) {
    throw invalid('expirytime', 'is before the event is due');
  }
  // 0 is never, and an event may well have ended in 1970.
  const absolute = end === undefined ? 0 : Math.max(1, end);
  const life = earlier(relative, keptMs);
  return life === 0 ? absolute : earlier(absolute, Math.max(nowMs, deliverAtMs) + life);
}

/**
 * The event as consumers get it: one whose publisher has named its life is told to end, as the mesh
 * has worked it out, by the attribute that CloudEvents has for that. No other event is changed.
 */
export function tellExpiry(event: EventView, item: PublishItem, expiryMs: number): EventView {
  if ((item.expiresAfterMs ?? 0) === 0) return event;
  const seconds = Math.floor(expiryMs / 1000);
  const end = { kind: 'timestamp', seconds, nanos: (expiryMs % 1000) * 1_000_000 } as const;
  if (!event.attributes.has('expirytime')) {
    return new EventView(Buffer.concat([event.bytes, encodeAttribute('expirytime', end)]));
  }
  const { id, source, type, specVersion, data } = event;
  const attributes = new Map(event.attributes).set('expirytime', end);
  const parts = { id, source, type, specVersion, attributes };
  return new EventView(encodeEvent(data === undefined ? parts : { ...parts, data }));
}

/** The smaller of two bounds, 0 being none. */
const earlier = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));

/**
 * When an event is to be published, ms since the epoch; 0 for now, as also for a time that is over.
 *
 * @param numbered by a producer, which may send it again when its time is over: to be known again it
 *   has to come where it came before, among those that wait, and is due at once
 */
export function dueTime(
  event: EventView,
  item: PublishItem,
  nowMs: number,
  numbered = false,
): number {
  const { deliverAtMs: at = 0, deliverAfterMs: after = 0 } = item;
  if (at !== 0 && after !== 0) {
    throw invalid('deliverAfterMs', 'cannot be together with a fixed time');
  }
  checkAhead('deliverAtMs', at);
  checkAhead('deliverAfterMs', after);
  const attribute = at === 0 && after === 0 ? timeOf(event, 'delivertime') : undefined;
  const due = Math.ceil(attribute ?? (after === 0 ? at : nowMs + after));
  const named = at !== 0 || after !== 0 || attribute !== undefined;
  if (due <= nowMs) return named && numbered ? nowMs : 0;
  if (due - nowMs <= AHEAD_MS_MAX) return due;
  const field =
    attribute === undefined ? (after === 0 ? 'deliverAtMs' : 'deliverAfterMs') : 'delivertime';
  throw invalid(field, 'is too far ahead', { limit: AHEAD });
}

const AHEAD = 'at most 366 days ahead';

function checkAhead(field: string, value: number): void {
  if (!(value >= 0)) throw invalid(field, `${value} is out of bounds`, { limit: AHEAD });
}

/** An attribute that is a time, or the text of one as from an HTTP header; ms since the epoch. */
function timeOf(event: EventView, name: string): number | undefined {
  const value = event.attributes.get(name);
  if (value === undefined) return undefined;
  const time = value.kind === 'timestamp' ? value : parseTimestamp(event.text(name) ?? '', name);
  return time.seconds * 1000 + Math.floor(time.nanos / 1_000_000);
}
