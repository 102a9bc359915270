import { encodeEvent, type AttributeValue, type EventParts } from '@eventmesh/event';
import { MeshError } from '@eventmesh/errors';
import {
  DeliveryClass,
  DurabilityClass,
  LatePolicy,
  type Receipt as ProtoReceipt,
} from '@eventmesh/proto-gen/event';
import { int64 } from '@eventmesh/wire';

/** An event to publish: its encoded protobuf bytes, or its parts. */
export type EventInput = Uint8Array | EventLike;

export interface EventLike {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** A string is text data, an object JSON, bytes are kept as they are. */
  readonly data?: Uint8Array | string | object;
  readonly datacontenttype?: string;
  readonly subject?: string;
  /** RFC 3339 or a Date. */
  readonly time?: Date;
  /** Order key. */
  readonly partitionkey?: string;
  /** Further extension attributes. A number is a CloudEvents Integer: whole, of 32 bits with a sign. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
}

export interface PublishOptions {
  /**
   * Default: what the topic's catalogue entry says, else durable. Say `durable` when it is to be: only
   * then a single event is sent again after a broken connection.
   */
  readonly deliveryClass?: 'durable' | 'direct';
  /** Life in ms from acceptance, or from when it is due. */
  readonly expiresAfterMs?: number;
  /** Publish it not before this: a Date, or ms since the epoch. At most 366 days ahead. */
  readonly deliverAt?: Date | number;
  /** The same as a delay in ms; not together with `deliverAt`. */
  readonly deliverAfterMs?: number;
  /** When its time has passed long since, as after a stop of the mesh. Default `fire`. */
  readonly latePolicy?: 'fire' | 'skip' | 'dead-letter';
}

/** What the mesh had done for the event when it answered. */
export interface Receipt {
  readonly site: string;
  readonly partition: number;
  readonly position: number;
  readonly duplicate: boolean;
  /** `fsync`, `quorum-fsync`, …; undefined for the direct class. */
  readonly durability: string | undefined;
  readonly noInterest: boolean;
  readonly destinations: readonly string[];
  /** When a scheduled event will be published, ms since the epoch; undefined for any other. */
  readonly deliverAtMs: number | undefined;
}

const LATE = Object.freeze({
  fire: LatePolicy.FIRE,
  skip: LatePolicy.SKIP,
  'dead-letter': LatePolicy.DEAD_LETTER,
});

/** @throws MeshError InvalidArgument that names what cannot be sent. */
export function encode(topic: string, event: EventInput, options: PublishOptions) {
  const { deliverAt } = options;
  return {
    topic,
    event: event instanceof Uint8Array ? event : encodeEvent(toParts(event)),
    deliveryClass:
      options.deliveryClass === 'direct'
        ? DeliveryClass.DIRECT
        : options.deliveryClass === 'durable'
          ? DeliveryClass.DURABLE
          : DeliveryClass.UNSPECIFIED,
    expiresAfterMs: int64('expiresAfterMs', options.expiresAfterMs),
    deliverAtMs: int64('deliverAt', deliverAt === undefined ? undefined : Number(deliverAt)),
    deliverAfterMs: int64('deliverAfterMs', options.deliverAfterMs),
    latePolicy:
      options.latePolicy === undefined ? LatePolicy.UNSPECIFIED : LATE[options.latePolicy],
    sequence: 0n,
  };
}

/**
 * Whether an event may be sent again when it is not known what became of it: the mesh stores it once,
 * by its source and id. Of one that does not say its class the catalogue may make a direct one, which
 * would be delivered twice; what is for later is durable or refused.
 */
export const repeatable = ({ deliveryClass, deliverAtMs, deliverAfterMs }: Encoded): boolean =>
  deliveryClass === DeliveryClass.DURABLE || deliverAtMs > 0n || deliverAfterMs > 0n;

type Encoded = ReturnType<typeof encode>;

function toParts(event: EventLike): EventParts {
  const attributes: [string, AttributeValue][] = [];
  const text = (name: string, value: string | undefined) => {
    if (value !== undefined) attributes.push([name, { kind: 'string', value }]);
  };
  const { data } = event;
  const json = typeof data === 'object' && !(data instanceof Uint8Array);
  text('datacontenttype', event.datacontenttype ?? (json ? 'application/json' : undefined));
  text('subject', event.subject);
  text('partitionkey', event.partitionkey);
  if (event.time !== undefined) {
    const ms = event.time.getTime();
    const seconds = Math.floor(ms / 1000);
    const nanos = (ms - seconds * 1000) * 1_000_000;
    attributes.push(['time', { kind: 'timestamp', seconds, nanos }]);
  }
  for (const [name, value] of Object.entries(event.extensions ?? {})) {
    attributes.push([name, extension(value)]);
  }
  const bytes =
    data === undefined || data instanceof Uint8Array
      ? data
      : Buffer.from(typeof data === 'string' ? data : JSON.stringify(data));
  const kind = typeof data === 'string' ? 'text' : 'binary';
  return {
    id: event.id,
    source: event.source,
    type: event.type,
    attributes,
    ...(bytes === undefined ? {} : { data: { kind, bytes } }),
  };
}

function extension(value: string | number | boolean): AttributeValue {
  if (typeof value === 'number') return { kind: 'integer', value };
  if (typeof value === 'boolean') return { kind: 'boolean', value };
  return { kind: 'string', value };
}

const DURABILITY: Readonly<Record<number, string>> = Object.freeze({
  [DurabilityClass.MEMORY]: 'memory',
  [DurabilityClass.PAGE_CACHE]: 'page-cache',
  [DurabilityClass.FSYNC]: 'fsync',
  [DurabilityClass.QUORUM_MEMORY]: 'quorum-memory',
  [DurabilityClass.QUORUM_FSYNC]: 'quorum-fsync',
});

export function toReceipt(receipt: ProtoReceipt | undefined): Receipt {
  if (receipt === undefined) throw new MeshError('Internal', 'the reply carries no receipt');
  return {
    site: receipt.site,
    partition: receipt.partition,
    position: Number(receipt.position),
    duplicate: receipt.duplicate,
    durability: DURABILITY[receipt.durability],
    noInterest: receipt.noInterest,
    destinations: receipt.destinations,
    deliverAtMs: receipt.deliverAtMs === 0n ? undefined : Number(receipt.deliverAtMs),
  };
}
