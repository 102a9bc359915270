import type { DeliveryEngine, Entry, Subscription } from '@eventmesh/delivery';
import type { Logger } from '@eventmesh/telemetry';
import type { DeadLetters } from '../dead/index.ts';
import type { Ending } from './runner-deps.ts';

export interface BuryingOptions {
  readonly subscription: Subscription;
  readonly engine: DeliveryEngine;
  readonly deadLetters: Pick<DeadLetters, 'write'>;
  readonly logger: Logger;
  readonly onEnded: (subscription: Subscription, entries: readonly Entry[], how: Ending) => void;
  /** Letters are written, or are to be written again: the engine has changed. */
  readonly wake: () => void;
}

/** Pause before letters are written again that could not be written, in ms. */
const AGAIN_MS = 1000;

/**
 * What becomes of the events of a subscription that are given up: dead letters, or nothing when it
 * keeps none. The source of a dead letter is settled only when the letter is durable.
 */
export class Burying {
  readonly #options: BuryingOptions;
  /** Ends the wait for letters that are not written yet. */
  readonly #closing = new AbortController();

  constructor(options: BuryingOptions) {
    this.#options = options;
  }

  bury(dead: readonly Entry[]): void {
    const { subscription, deadLetters } = this.#options;
    if (!subscription.deadLetter) {
      this.#retire(dead, 'dropped');
      return;
    }
    const { signal } = this.#closing;
    deadLetters.write(subscription, dead, signal).then(
      () => {
        this.#retire(dead, 'dead-lettered');
        this.#options.wake();
      },
      (error: unknown) => {
        // Nobody waits any more; whoever owns the subscription next looks at them again.
        if (!signal.aborted) this.#revive(dead, error);
      },
    );
  }

  /** Nothing is written again after it; what is not durable by then stays with the subscription. */
  close(): void {
    this.#closing.abort();
  }

  #retire(dead: readonly Entry[], how: 'dead-lettered' | 'dropped'): void {
    const { subscription, engine, onEnded } = this.#options;
    for (const entry of dead) engine.retire(entry, how);
    onEnded(subscription, dead, how);
  }

  #revive(dead: readonly Entry[], error: unknown): void {
    const { engine, logger, wake } = this.#options;
    logger.warn({ err: error }, 'dead letters could not be written; held');
    for (const entry of dead) engine.revive(entry, AGAIN_MS);
    wake();
  }
}
