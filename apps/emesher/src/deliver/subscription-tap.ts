import type { Gap } from '@eventmesh/adapter-api';
import type { DeliveryEngine, Subscription } from '@eventmesh/delivery';
import type { RecordView } from '@eventmesh/event';
import {
  compileFilters,
  necessaryConditions,
  type Condition,
  type Predicate,
} from '@eventmesh/filter';
import type { Logger } from '@eventmesh/telemetry';
import type { Tap } from '../follow/tap.ts';
import { viewOf } from './shared-view.ts';

export interface SubscriptionTapOptions {
  readonly subscription: Subscription;
  readonly engine: DeliveryEngine;
  /** Matched events that the engine has in memory at most. */
  readonly heldMax: number;
  readonly logger: Logger;
  /** The engine has one more event. */
  readonly onOffered: () => void;
  readonly onGap: (gap: Gap) => void;
}

/** Events that are read ahead of those that are handed out. */
const READ_AHEAD_EVENTS = 256;

/** What a subscription takes of the records of its topics: those that its filters match. */
export class SubscriptionTap implements Tap {
  readonly conditions: readonly Condition[];
  readonly #options: SubscriptionTapOptions;
  readonly #engine: DeliveryEngine;
  readonly #readAheadEvents: number;
  readonly #hasFilters: boolean;
  readonly #predicate: Predicate;
  /** By partition: records that it could not evaluate since it was told how far was looked. */
  readonly #failed: number[] = [];
  #filterErrors = 0;

  constructor(options: SubscriptionTapOptions) {
    const { subscription, engine, heldMax } = options;
    this.#options = options;
    this.#engine = engine;
    // What is full has room for some of a read by the time that it reads again.
    this.#readAheadEvents = Math.min(READ_AHEAD_EVENTS, Math.ceil(heldMax / 2));
    this.#hasFilters = subscription.filters.length > 0;
    this.#predicate = compileFilters(subscription.filters, {
      onError: () => this.#filterErrors++,
    });
    this.conditions = necessaryConditions(subscription.filters);
  }

  get topicFilters(): readonly string[] {
    return this.#options.subscription.topicFilters;
  }

  get recipient(): string {
    return this.#options.subscription.name;
  }

  get ready(): boolean {
    return !this.#engine.saturated;
  }

  get hungry(): boolean {
    return this.ready && this.#engine.untried < this.#readAheadEvents;
  }

  boundary(partition: number): number {
    return this.#engine.partition(partition).countedUpTo;
  }

  offer(partition: number, position: number, record: RecordView): boolean {
    if (this.#hasFilters && !this.#matches(partition, position, record)) return false;
    this.#engine.offer(partition, position, record);
    this.#options.onOffered();
    return true;
  }

  advance(partition: number, upTo: number, others: number): void {
    this.#engine.advance(partition, upTo, others);
    // In the books together with the records, so that neither is counted twice after a crash.
    for (let errors = this.#failed[partition] ?? 0; errors > 0; errors--) {
      this.#engine.filterFailed(partition);
    }
    this.#failed[partition] = 0;
  }

  gap(partition: number, from: number, to: number): void {
    this.#engine.advance(partition, to, 0);
    this.#options.onGap({ partition, from, to });
  }

  /** For a record that was looked at before, and counted then. */
  matchesAgain(record: RecordView): boolean {
    try {
      return this.#predicate(viewOf(record));
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'an event cannot be read');
      return false;
    }
  }

  #matches(partition: number, position: number, record: RecordView): boolean {
    const errors = this.#filterErrors;
    let matches = false;
    try {
      matches = this.#predicate(viewOf(record));
    } catch (error) {
      this.#filterErrors++;
      this.#options.logger.debug({ err: error }, 'an event cannot be read');
    }
    // A filter that cannot be evaluated is false, and is counted (Subscriptions API 1.0): once, though
    // what was looked at in an earlier life is looked at again.
    if (this.#filterErrors !== errors && position > this.#engine.partition(partition).lookedUpTo) {
      this.#failed[partition] = (this.#failed[partition] ?? 0) + 1;
    }
    return matches;
  }
}
