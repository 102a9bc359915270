import type { DeliverySink, Gap, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import type { Assignment, DeliveryEngine, Entry } from '@eventmesh/delivery';
import type { MeshError } from '@eventmesh/errors';
import { Drains } from './drains.ts';
import { toDelivery } from './to-delivery.ts';

export interface EngineDriverOptions {
  readonly engine: DeliveryEngine;
  /** The engine's clock, ms since the epoch. */
  readonly now: () => number;
  /** A turn begins: credit that the engine is given now counts for it. */
  readonly beforeTurn?: () => void;
  /** Before the consumer has them. */
  readonly onDelivered: (consumer: string, deliveries: Assignment['deliveries']) => void;
  /** These are done with, as far as their consumer is concerned. */
  readonly onSettled?: (entries: readonly Entry[], outcome: SettleOutcome) => void;
  /**
   * No consumer gets these any more. Each goes to the engine's `retire` or `revive`: at once, or later,
   * and `wake` is called then.
   */
  readonly bury: (dead: readonly Entry[]) => void;
  /** A turn is over; there may be room in the engine. May close the driver. */
  readonly afterTurn: () => void;
  /** Ms until there is something to do that the engine knows nothing of; Infinity: there is not. */
  readonly waitMs?: () => number;
}

/**
 * Events that one subscription hands out before others have their turn: one that catches up must
 * not hold up those that are live.
 */
export const TURN_EVENTS = 128;
/** How long to wait while nobody can tell whether an event may go out, in ms. */
const BLOCKED_MS = 500;

/**
 * Gives a delivery engine what it has not: turns of the event loop, timers, and the consumers. It
 * hands out what is ready in turns of its own, which come by themselves when something is due, and
 * after `wake` when somebody else has changed something, such as by an offer.
 */
export class EngineDriver {
  readonly #options: EngineDriverOptions;
  readonly #sinks = new Map<string, DeliverySink>();
  readonly #drains = new Drains();
  /** Gaps that were met while no consumer was there. */
  readonly #untold: Gap[] = [];
  #timer: NodeJS.Timeout | undefined;
  #awake = false;
  #closed = false;

  constructor(options: EngineDriverOptions) {
    this.#options = options;
  }

  get consumers(): number {
    return this.#sinks.size;
  }

  has(consumer: string): boolean {
    return this.#sinks.has(consumer);
  }

  attach(consumer: string, sink: DeliverySink): void {
    this.#sinks.set(consumer, sink);
    this.#options.engine.attach(consumer);
    for (const gap of this.#untold.splice(0)) sink.gap(gap);
  }

  detach(consumer: string): void {
    this.#sinks.delete(consumer);
    this.#options.engine.detach(consumer);
    this.wake();
  }

  credit(consumer: string, events: number, bytes: number): void {
    this.#options.engine.credit(consumer, events, bytes);
    this.wake();
  }

  /** Resolves when a consumer has what is there for it now, and no credit any more. */
  drain(consumer: string): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.wake();
    return this.#drains.add(consumer);
  }

  settle(
    consumer: string,
    ids: readonly number[],
    outcome: SettleOutcome,
    cumulative: boolean,
  ): Settled {
    const { engine, onSettled } = this.#options;
    const all = cumulative ? engine.upTo(consumer, ids) : ids;
    const done: Entry[] = [];
    const refused = engine.settle(consumer, all, outcome, (entry) => done.push(entry));
    if (done.length > 0) onSettled?.(done, outcome);
    this.#bury();
    this.wake();
    return { refused, count: all.length - refused.length };
  }

  /** Tells all consumers of positions that they will not get; without any, the first one to come. */
  gap(gap: Gap): void {
    if (this.#sinks.size === 0) this.#untold.push(gap);
    for (const sink of this.#sinks.values()) sink.gap(gap);
  }

  /** There may be something to do: once a turn, however often it is said. */
  wake(): void {
    if (this.#awake || this.#closed) return;
    this.#awake = true;
    setImmediate(this.#turn);
  }

  /** There are no more turns, and no sink is called any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drains.end(() => true);
    this.#sinks.clear();
  }

  /** Closes, with a last word to the consumers. */
  end(reason: MeshError | undefined): void {
    const sinks = [...this.#sinks.values()];
    this.close();
    for (const sink of sinks) sink.ended(reason);
  }

  readonly #turn = (): void => {
    this.#awake = false;
    if (this.#closed) return;
    const { engine, beforeTurn, afterTurn } = this.#options;
    engine.tick();
    beforeTurn?.();
    const isFull = this.#handOut() === TURN_EVENTS;
    // A consumer may have ended all of it.
    if (this.#closed) return;
    if (isFull) this.wake();
    this.#endDrains(!isFull);
    this.#bury();
    afterTurn();
    if (!this.#closed) this.#setTimer();
  };

  #handOut(): number {
    const { engine, onDelivered } = this.#options;
    let events = 0;
    for (const { consumer, deliveries } of engine.pump(TURN_EVENTS)) {
      events += deliveries.length;
      const sink = this.#sinks.get(consumer);
      if (sink === undefined) continue;
      onDelivered(consumer, deliveries);
      sink.deliver(deliveries.map(toDelivery));
    }
    return events;
  }

  /** @param isDry There was no more to hand out. */
  #endDrains(isDry: boolean): void {
    const { engine } = this.#options;
    this.#drains.end((consumer) => {
      if (!isDry && engine.mayTake(consumer)) return false;
      engine.withdraw(consumer);
      return true;
    });
  }

  #bury(): void {
    const { engine, bury } = this.#options;
    const dead = engine.takeDead();
    if (dead.length === 0) return;
    bury(dead);
    // What waited behind them may go out now.
    this.wake();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const { engine, now, waitMs } = this.#options;
    const due = engine.nextDue;
    let wait = waitMs?.() ?? Infinity;
    if (due !== undefined) wait = Math.min(wait, due - now());
    // Nothing else tells when acl is there again.
    if (engine.blocked) wait = Math.min(wait, BLOCKED_MS);
    if (wait === Infinity) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(1, wait));
  }
}
