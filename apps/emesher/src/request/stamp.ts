import { invalid } from '@eventmesh/errors';
import { encodeEvent, parseTimestamp, type AttributeValue, type EventView } from '@eventmesh/event';

export interface RequestStamp {
  /** Address for the reply. */
  readonly replyTo: string;
  /** For a request that has none of its own. */
  readonly correlationId: string;
  /** When nobody waits any more, ms since the epoch. */
  readonly deadlineMs: number;
}

/**
 * The event as a request: with `replyto`, a `correlationid`, and an `expirytime` not behind the
 * deadline, so that every hop and consumer can tell when an answer is of no use. Data stays byte for
 * byte.
 *
 * @throws MeshError InvalidArgument when the event has a `replyto` of its own, or is scheduled.
 */
export function stampRequest(event: EventView, stamp: RequestStamp): Buffer {
  const attributes = new Map(event.attributes);
  if (attributes.has('replyto')) {
    throw invalid('replyto', 'is set by the mesh in a request; publish the event instead');
  }
  if (attributes.has('delivertime')) {
    throw invalid('delivertime', 'a request cannot be scheduled; its deadline runs from now');
  }
  const text = (value: string): AttributeValue => ({ kind: 'string', value });
  attributes.set('replyto', text(stamp.replyTo));
  if (!attributes.has('correlationid')) {
    attributes.set('correlationid', text(stamp.correlationId));
  }
  if (!(expiryOf(event) <= stamp.deadlineMs)) {
    attributes.set('expirytime', timestamp(stamp.deadlineMs));
  }
  const { id, source, type, specVersion, data } = event;
  const parts = { id, source, type, specVersion, attributes };
  return encodeEvent(data === undefined ? parts : { ...parts, data });
}

/** Ms since the epoch; not a number when it has none. */
function expiryOf(event: EventView): number {
  const value = event.attributes.get('expirytime');
  if (value === undefined) return Number.NaN;
  const { seconds, nanos } =
    value.kind === 'timestamp'
      ? value
      : parseTimestamp(event.text('expirytime') ?? '', 'expirytime');
  return seconds * 1000 + nanos / 1_000_000;
}

function timestamp(ms: number): AttributeValue {
  const seconds = Math.floor(ms / 1000);
  return { kind: 'timestamp', seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}
