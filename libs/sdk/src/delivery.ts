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
  reject(reason: string): void;
  renew(): void;
}

/** Where a delivery is settled: the stream that it came from. */
export interface Settling {
  accept(id: bigint): void;
  settle(id: bigint, outcome: Settle_Outcome, delayMs?: number, reason?: string): void;
}

/** A delivery of a stream. Hundreds of thousands come in a second: it is one object, without closures. */
export class ReceivedDelivery implements Delivery {
  readonly id: bigint;
  readonly attempt: number;
  readonly topic: string;
  readonly event: EventView;
  readonly partition: number;
  readonly position: number;
  readonly originSite: string;
  readonly ingressTimeUs: number;
  readonly #stream: Settling;

  constructor(wire: WireDelivery, stream: Settling) {
    this.id = wire.id;
    this.attempt = wire.attempt;
    this.topic = wire.topic;
    this.event = new EventView(wire.event);
    this.partition = wire.partition;
    this.position = wire.position;
    this.originSite = wire.originSite;
    this.ingressTimeUs = wire.ingressTimeUs;
    this.#stream = stream;
  }

  // Getters, so that `const { event, accept } of subscriber` keeps them bound.
  get accept(): Delivery['accept'] {
    return () => this.#stream.accept(this.id);
  }

  get release(): Delivery['release'] {
    return (delayMs) => this.#stream.settle(this.id, Settle_Outcome.RELEASE, delayMs);
  }

  get reject(): Delivery['reject'] {
    return (reason) => this.#stream.settle(this.id, Settle_Outcome.REJECT, 0, reason);
  }

  get renew(): Delivery['renew'] {
    return () => this.#stream.settle(this.id, Settle_Outcome.RENEW);
  }
}
