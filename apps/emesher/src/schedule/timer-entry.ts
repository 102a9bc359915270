import { MeshError } from '@eventmesh/errors';
import {
  EventView,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  type RecordView,
} from '@eventmesh/event';

/** Timers that go to one partition of the tenant's events together. */
export interface Firing {
  readonly partition: number;
  readonly positions: readonly number[];
}

/**
 * What has been decided about timers: which are published now, and which are done with in another way
 * (skipped, dead-lettered, cancelled, moved). Decisions are numbered without gaps and each is stored
 * only when the one before it is the last: two emeshers that both think they own the timers cannot
 * both decide.
 */
export interface Decision {
  readonly sequence: number;
  readonly fire: readonly Firing[];
  readonly drop: readonly number[];
}

/** A record of the log of timers: an event that waits, or a decision. */
export type TimerEntry =
  | { readonly kind: 'timer'; readonly dueMs: number; readonly record: RecordView }
  | { readonly kind: 'decision'; readonly decision: Decision };

const TYPE = 'eventmesh.timers.decision';

/** @throws MeshError DataLoss when it is neither. */
export function decodeEntry(bytes: Uint8Array): TimerEntry {
  const record = decodeRecord(bytes);
  const { deliverAtMs } = record.handling;
  if (deliverAtMs > 0) return { kind: 'timer', dueMs: deliverAtMs, record };
  const event = new EventView(record.event);
  if (event.type !== TYPE || event.data === undefined) {
    throw new MeshError('DataLoss', `the log of timers has a record of type "${event.type}"`);
  }
  const [sequence, fire, drop] = JSON.parse(Buffer.from(event.data.bytes).toString()) as Stored;
  return {
    kind: 'decision',
    decision: {
      sequence,
      fire: fire.map(([partition, ...positions]) => ({ partition, positions })),
      drop,
    },
  };
}

/** Sequence; for each partition its number and the positions; positions. */
type Stored = [number, [number, ...number[]][], number[]];

/** A decision as a record, which is an event too, so that every store can keep it. */
export function encodeDecision(
  tenant: string,
  site: string,
  nowMs: number,
  { sequence, fire, drop }: Decision,
): Buffer {
  const stored: Stored = [
    sequence,
    fire.map(({ partition, positions }) => [partition, ...positions]),
    [...drop],
  ];
  const event = encodeEvent({
    id: String(sequence),
    source: `/sites/${site}/timers`,
    type: TYPE,
    specVersion: '1.0',
    attributes: [['datacontenttype', { kind: 'string', value: 'application/json' }]],
    data: { kind: 'text', bytes: Buffer.from(JSON.stringify(stored)) },
  });
  return encodeRecord(
    {
      tenant,
      topic: 'timers',
      principal: '',
      originSite: site,
      destinations: [],
      ingressTimeUs: nowMs * 1000,
      hops: [],
    },
    event,
  );
}
