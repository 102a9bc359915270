import type { Attachment, DeliverySink, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import type { MemorySubscription } from './memory-subscription.ts';

export interface MemoryConsumerOptions {
  /** What was asked for, when the owner is a part of it: a broadcast. */
  readonly subscription?: MemorySubscription;
  readonly consumer: string;
  readonly sink: DeliverySink;
  readonly convergedSites: readonly string[];
  readonly gone: () => void;
}

/** One consumer's hold on a memory subscription. */
export class MemoryConsumer implements Attachment {
  readonly consumer: string;
  readonly sink: DeliverySink;
  readonly convergedSites: readonly string[];
  readonly unreachableSites: readonly string[] = [];
  /** Ids of what it has, in order. */
  readonly out = new Set<number>();
  readonly #owner: MemorySubscription;
  readonly #asked: MemorySubscription;
  readonly #gone: () => void;
  #events = 0;
  #bytes = Number.POSITIVE_INFINITY;
  #attached = true;
  #drain: PromiseWithResolvers<void> | undefined;

  constructor(owner: MemorySubscription, options: MemoryConsumerOptions) {
    this.#owner = owner;
    this.#asked = options.subscription ?? owner;
    this.consumer = options.consumer;
    this.sink = options.sink;
    this.convergedSites = options.convergedSites;
    this.#gone = options.gone;
  }

  get subscription(): Subscription {
    return this.#asked.spec;
  }

  get hasCredit(): boolean {
    return this.#events > 0 && this.#bytes > 0;
  }

  /** Events that may still be delivered. */
  get creditLeft(): number {
    return this.#events;
  }

  spend(bytes: number): void {
    this.#events--;
    this.#bytes -= bytes;
  }

  credit(events: number, bytes = 0): void {
    if (!this.#attached) return;
    this.#events += events;
    if (bytes > 0) this.#bytes = (Number.isFinite(this.#bytes) ? this.#bytes : 0) + bytes;
    this.#owner.schedule();
  }

  drain(): Promise<void> {
    if (!this.#attached) return Promise.resolve();
    this.#drain ??= Promise.withResolvers<void>();
    this.#owner.schedule();
    return this.#drain.promise;
  }

  /** A round is over: whoever drains has what there was for it. */
  endDrain(): void {
    const drain = this.#drain;
    if (drain === undefined) return;
    this.#drain = undefined;
    this.#events = 0;
    this.#bytes = Number.POSITIVE_INFINITY;
    drain.resolve();
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative = false): Settled {
    return this.#owner.settle(this, ids, outcome, cumulative);
  }

  detach(): Promise<void> {
    this.#leave();
    return Promise.resolve();
  }

  /** The mesh's side of the end. */
  end(reason: MeshError | undefined): void {
    if (this.#leave()) this.sink.ended(reason);
  }

  /** Whether it was there. */
  #leave(): boolean {
    if (!this.#attached) return false;
    this.#attached = false;
    this.#owner.remove(this);
    this.#gone();
    return true;
  }
}
