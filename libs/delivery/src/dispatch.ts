import type { Backlog } from './backlog.ts';
import type { Consumer, Consumers } from './consumers.ts';
import type { Entry, OnEnded } from './entry.ts';
import type { Leases } from './leases.ts';
import type { Settling } from './settling.ts';

/** Deliveries that the caller now has to hand to a consumer. */
export interface Assignment {
  readonly consumer: string;
  readonly deliveries: readonly { readonly id: number; readonly entry: Entry }[];
}

export interface DispatchParts {
  readonly inFlightMax: number;
  readonly mayReceive: (topic: string) => boolean | undefined;
  readonly onEnded: OnEnded;
  readonly backlog: Backlog;
  readonly consumers: Consumers;
  readonly leases: Leases;
  readonly settling: Settling;
}

/** Who gets what next. */
export class Dispatch {
  readonly #parts: DispatchParts;
  #blocked = false;
  #starved = false;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
  }

  /** The last round ended at an event of which nobody can tell whether it may go out. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** In the last round a consumer might have taken more than there was to take. */
  get starved(): boolean {
    return this.#starved;
  }

  /** Hands out what is ready, an event to each consumer in turn, while there is credit and room. */
  round(now: number, max: number): Assignment[] {
    const { backlog, consumers, leases, inFlightMax } = this.#parts;
    const takers = consumers.takers();
    this.#starved = false;
    this.#blocked = false;
    if (takers.length === 0) return NOTHING;
    const served: Consumer[] = [];
    let room = Math.min(max, inFlightMax - leases.size);
    let last: Consumer | undefined;
    for (let at = 0; room > 0;) {
      const taker = takers[at] ?? takers[(at = 0)];
      if (taker === undefined) break;
      const entry = consumers.mayTake(taker) ? this.#nextFor(taker, now) : undefined;
      if (this.#blocked) break;
      if (entry === undefined) {
        this.#starved ||= consumers.mayTake(taker);
        takers.splice(at, 1);
        continue;
      }
      // A key that somebody works on stays there, whoever's turn it is.
      const consumer = entry.key?.consumer ?? taker;
      if (consumer !== taker && !consumers.mayTake(consumer)) {
        entry.key?.waitForConsumer();
        continue;
      }
      this.#handOut(entry, consumer, now);
      if (entry.key !== undefined) backlog.wake(entry.key);
      if (consumer.round.length === 1) served.push(consumer);
      last = taker;
      room--;
      at++;
    }
    consumers.endRound(last);
    return served.map(assignment);
  }

  /** The next event for a consumer whose turn it is; what may not go out is settled on the way. */
  #nextFor(taker: Consumer, now: number): Entry | undefined {
    const { backlog, consumers } = this.#parts;
    for (const key of taker.waitingKeys) {
      const { next } = key;
      if (next !== undefined && next.failures > 0 && !consumers.mayRetry(taker)) continue;
      key.stopWaiting();
      if (next === undefined || !key.mayGo(next)) continue;
      if (this.#admits(next, now)) return next;
      if (!this.#blocked) continue;
      key.waitForConsumer();
      return undefined;
    }
    for (let entry = backlog.take(taker); entry; entry = backlog.take(taker)) {
      if (this.#admits(entry, now)) return entry;
      if (!this.#blocked) continue;
      backlog.putBack(entry);
      return undefined;
    }
    return undefined;
  }

  /** Whether an event may go out. When nobody can tell, `blocked` is set; else a no is its end. */
  #admits(entry: Entry, now: number): boolean {
    const { settling, mayReceive, backlog, onEnded } = this.#parts;
    if (settling.isOver(entry, now)) return false;
    const allowed = mayReceive(entry.record.topic);
    if (allowed === undefined) this.#blocked = true;
    else if (!allowed) {
      entry.progress.counters.dropped++;
      backlog.remove(entry, now);
      onEnded(entry, 'forbidden');
    }
    return allowed === true;
  }

  #handOut(entry: Entry, consumer: Consumer, now: number): void {
    consumer.take(this.#parts.leases.begin(entry, consumer, now));
    entry.state = 'out';
    if (++entry.attempts > 1) entry.progress.counters.redelivered++;
    entry.key?.goOut(entry, consumer, now);
  }
}

const NOTHING: Assignment[] = [];

function assignment(consumer: Consumer): Assignment {
  const deliveries = consumer.round;
  consumer.round = [];
  return { consumer: consumer.name, deliveries };
}
