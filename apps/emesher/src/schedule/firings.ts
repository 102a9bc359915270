import type { RecordView } from '@eventmesh/event';
import type { EventPublisher } from './event-publisher.ts';
import type { OpenFiring, TimerBook } from './timer-book.ts';
import type { TimerLog } from './timer-log.ts';

/**
 * Carries out what has been decided: puts the timers of each decision into the tenant's events, one
 * decision after the other. While one is being published the next may be decided, so that a store
 * makes both durable together; no more than those two are under way.
 */
export class Firings {
  readonly #log: TimerLog;
  readonly #book: TimerBook;
  readonly #events: EventPublisher;
  #publishing: Promise<void> = Promise.resolve();

  constructor(log: TimerLog, book: TimerBook, events: EventPublisher) {
    this.#log = log;
    this.#book = book;
    this.#events = events;
  }

  /**
   * Begins to publish all that is decided, once what was begun before is published.
   * @param timers of the last decision; others are read
   * @throws MeshError of what was begun before.
   */
  async begin(timers?: ReadonlyMap<number, RecordView>): Promise<void> {
    await this.#publishing;
    this.#publishing = this.#publish(timers);
    // Whoever waits for it next hears of it.
    this.#publishing.catch(() => undefined);
  }

  /** Resolves when all is published that was begun. @throws MeshError when it could not be. */
  end(): Promise<void> {
    return this.#publishing;
  }

  async #publish(timers: ReadonlyMap<number, RecordView> | undefined): Promise<void> {
    const decisions = Map.groupBy(this.#book.open, ({ sequence }) => sequence);
    for (const firings of decisions.values()) {
      // What one partition refuses must not be begun anew while others are still under way.
      const outcomes = await Promise.allSettled(firings.map((one) => this.#fire(one, timers)));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    }
  }

  async #fire(
    firing: OpenFiring,
    timers: ReadonlyMap<number, RecordView> | undefined,
  ): Promise<void> {
    const known = firing.positions.every((position) => timers?.has(position) === true);
    const records = known ? timers : await this.#log.timersAt(firing.positions);
    await this.#events.publish(firing, records ?? new Map());
    this.#book.published(firing);
  }
}
