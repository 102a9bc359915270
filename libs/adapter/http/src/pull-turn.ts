import type { Delivery } from '@eventmesh/adapter-api';

/** How much one pull takes. */
export interface PullSize {
  /** Deliveries, at least 1. */
  readonly max: number;
  /** Bytes of events; the first delivery comes however large it is. */
  readonly maxBytes: number;
}

/** One pull: what it takes, what came for it, and whether its client still waits. */
export class PullTurn {
  readonly size: PullSize;
  /** The answer. */
  readonly deliveries: Delivery[] = [];
  /** What came and is more than it takes: the event that used up its last bytes. */
  readonly surplus: Delivery[] = [];
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #timeIsUp: boolean;
  #changed: (() => void) | undefined;

  /** @param signal Aborts when the client goes away. */
  constructor(size: PullSize, waitMs: number, signal: AbortSignal) {
    this.size = size;
    this.#signal = signal;
    this.#timeIsUp = waitMs === 0;
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timeIsUp = true;
        this.wake();
      }, waitMs);
    }
    signal.addEventListener('abort', this.wake, { once: true });
  }

  /** The client has gone; nobody gets an answer. */
  get isGone(): boolean {
    return this.#signal.aborted;
  }

  /** It waits no longer. */
  get isOver(): boolean {
    return this.#timeIsUp || this.isGone;
  }

  /** Bytes of events that came for it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param exact What exceeds its bytes is surplus. */
  take(deliveries: readonly Delivery[], exact: boolean): void {
    for (const delivery of deliveries) {
      const { length } = delivery.event;
      const fits = this.#bytes + length <= this.size.maxBytes || this.deliveries.length === 0;
      const takes = this.surplus.length === 0 && (fits || !exact);
      (takes ? this.deliveries : this.surplus).push(delivery);
      this.#bytes += length;
    }
    this.wake();
  }

  /** Resolves at the next `wake`: look again. */
  change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = resolve;
    return promise;
  }

  readonly wake = (): void => {
    this.#changed?.();
  };

  end(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.wake);
  }
}
