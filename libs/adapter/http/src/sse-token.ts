import { invalid } from '@eventmesh/errors';
import type { Delivery } from '@eventmesh/adapter-api';

/**
 * The id of an SSE event: where its record lies, which delivery it was, and which write of which
 * connection, so that `Last-Event-ID` says exactly what the client has received.
 */
export interface SseToken {
  readonly partition: number;
  readonly position: number;
  readonly originSite: string;
  readonly deliveryId: number;
  readonly connection: string;
  /** From 1, in the order written. */
  readonly sequence: number;
}

const TOKEN = /^(\d{1,10}):(\d{1,16}):([^:\s]{0,64}):(\d{1,16}):([0-9a-f]{16})\.(\d{1,16})$/;

export function formatToken(delivery: Delivery, connection: string, sequence: number): string {
  const { partition, position, originSite, id } = delivery;
  return `${partition}:${position}:${originSite}:${id}:${connection}.${sequence}`;
}

/** @throws MeshError InvalidArgument that names `field`. */
export function parseToken(text: string, field: string): SseToken {
  const match = TOKEN.exec(text);
  if (match === null) throw invalid(field, 'is not an id that a stream of this mesh has sent');
  const [, partition, position, originSite = '', deliveryId, connection = '', sequence] = match;
  return {
    partition: Number(partition),
    position: Number(position),
    originSite,
    deliveryId: Number(deliveryId),
    connection,
    sequence: Number(sequence),
  };
}

interface Doubtful {
  readonly sequence: number;
  readonly place: string;
}

const CONNECTIONS_MAX = 1000;
const KEEP_MS = 300_000;

export const placeOf = (delivery: Delivery): string => `${delivery.partition}:${delivery.position}`;

/**
 * What was written to broken connections without being accepted. When the client comes back with the
 * id of its last event, everything written up to that id on that connection has arrived (TCP keeps
 * order) and counts as accepted; the rest is delivered again. Bounded: the oldest connections of over
 * a thousand, and those older than five minutes, are forgotten, and then delivered again, too.
 */
export class ResumeMemory {
  readonly #connections = new Map<string, { sinceMs: number; doubtful: readonly Doubtful[] }>();

  keep(connection: string, doubtful: readonly Doubtful[]): void {
    if (doubtful.length === 0) return;
    this.#connections.set(connection, { sinceMs: Date.now(), doubtful });
    for (const [oldest, { sinceMs }] of this.#connections) {
      const forget = this.#connections.size > CONNECTIONS_MAX || Date.now() - sinceMs > KEEP_MS;
      if (!forget) break;
      this.#connections.delete(oldest);
    }
  }

  /** Places of records that the holder of this token has received. One use. */
  take(token: SseToken): Set<string> {
    const kept = this.#connections.get(token.connection);
    this.#connections.delete(token.connection);
    const received = kept?.doubtful.filter(({ sequence }) => sequence <= token.sequence) ?? [];
    return new Set(received.map(({ place }) => place));
  }
}
