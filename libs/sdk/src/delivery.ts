import { EventView } from '@eventmesh/event';
import { Settle_Outcome } from '@eventmesh/proto-gen/subscriber';
import type { WireDelivery } from './decode-deliveries.ts';

/** An event, to be settled exactly once. */
export interface Delivery {
  readonly id: bigint;
  /** 1 for the first delivery. */
  readonly attempt: number;
  readonly topic: string;
  readonly event: EventView;
  readonly partition: number;
  readonly position: number;
  readonly originSite: string;
  /** Microseconds since the epoch, by the origin's clock. */
  readonly ingressTimeUs: number;
  accept(): void;
  /** Again after the delay, or as the retry policy says. */
  release(delayMs?: number): void;
  /** Never again: to the dead letters. @param reason Kept with it; default `rejected`. */
  reject(reason?: string): void;
  renew(): void;
}

/** Where a delivery is settled: the stream that it came from. */
export interface Settling {
  accept(id: bigint): void;
  settle(id: bigint, outcome: Settle_Outcome, delayMs?: number, reason?: string): void;
}

/** A delivery of a stream. All of it is its own, so that `const { event, ...delivery }` has it, too. */
export function delivered(wire: WireDelivery, stream: Settling): Delivery {
  const { id } = wire;
  return {
    id,
    attempt: wire.attempt,
    topic: wire.topic,
    event: new EventView(wire.event),
    partition: wire.partition,
    position: wire.position,
    originSite: wire.originSite,
    ingressTimeUs: wire.ingressTimeUs,
    accept: () => stream.accept(id),
    release: (delayMs) => stream.settle(id, Settle_Outcome.RELEASE, delayMs),
    reject: (reason) => stream.settle(id, Settle_Outcome.REJECT, 0, reason),
    renew: () => stream.settle(id, Settle_Outcome.RENEW),
  };
}
