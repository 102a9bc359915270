import type { KeyQueue } from './key-queue.ts';
import type { Lease } from './leases.ts';
import { Outstanding } from './outstanding.ts';
import type { RetryPace } from './retry-pace.ts';

/** Most events or bytes of credit that are remembered. */
const CREDIT_MAX = 2 ** 40;

/**
 * Somebody who takes deliveries, and how many more it is ready for. An event goes to it while it has
 * credit for one event and, if it has ever given credit in bytes, for at least one byte. So it never
 * gets more events than it asked for, nor more bytes than it asked for plus the one event that used
 * up the last of them: without that, an event larger than the credit could never be delivered.
 */
export class Consumer {
  readonly name: string;
  readonly out = new Outstanding();
  /** Keys that are bound to it and whose next event waits for its credit, or its room for a retry. */
  readonly waitingKeys = new Set<KeyQueue>();
  /** What the current round hands to it. */
  round: Lease[] = [];
  #events = 0;
  #bytes = 0;
  #bytesBounded = false;

  constructor(name: string) {
    this.name = name;
  }

  get hasCredit(): boolean {
    return this.#events > 0 && (!this.#bytesBounded || this.#bytes > 0);
  }

  /** It has something, or would take something. */
  get isAtWork(): boolean {
    return this.hasCredit || this.out.size > 0;
  }

  give(events: number, bytes: number): void {
    this.#events = Math.min(CREDIT_MAX, this.#events + events);
    if (bytes <= 0) return;
    this.#bytesBounded = true;
    this.#bytes = Math.min(CREDIT_MAX, this.#bytes + bytes);
  }

  /** Takes back the credit that is left, and forgets what the last event has overdrawn. */
  withdraw(): void {
    this.#events = 0;
    this.#bytes = 0;
    this.#bytesBounded = false;
  }

  take(lease: Lease): void {
    this.#events--;
    if (this.#bytesBounded) this.#bytes -= lease.entry.record.event.length;
    this.out.add(lease);
    this.round.push(lease);
  }
}

/**
 * The consumers of a subscription. They take turns, one event each, and while there are several none
 * may have more than its share of `inFlightMax` out, nor of the window of retries: one that takes and
 * never settles costs the others nothing but its share. Half of both is shared by those at work alone,
 * so that many who are attached and want nothing now do not leave it to nobody.
 */
export class Consumers {
  readonly #inFlightMax: number;
  readonly #pace: RetryPace;
  readonly #byName = new Map<string, Consumer>();
  #all: readonly Consumer[] = [];
  /** How many of them were at work when the round began. */
  #atWork = 0;
  /** Of `inFlightMax`, for each. */
  #share: number;
  /** Whose turn it is, counted through all rounds. */
  #turn = 0;

  constructor(inFlightMax: number, pace: RetryPace) {
    this.#inFlightMax = inFlightMax;
    this.#pace = pace;
    this.#share = inFlightMax;
  }

  get size(): number {
    return this.#all.length;
  }

  find(name: string): Consumer | undefined {
    return this.#byName.get(name);
  }

  add(name: string): void {
    this.#byName.set(name, new Consumer(name));
    this.#changed();
  }

  /** Answers who has gone. */
  remove(name: string): Consumer | undefined {
    const consumer = this.#byName.get(name);
    this.#byName.delete(name);
    this.#changed();
    return consumer;
  }

  mayTake(consumer: Consumer): boolean {
    return consumer.hasCredit && consumer.out.size < this.#share;
  }

  /** Whether the pace of retries lets a consumer have one more event that has failed before. */
  mayRetry({ out }: Consumer): boolean {
    return out.retries < this.#shareOf(this.#pace.window);
  }

  /** Those that may take something, the one whose turn it is first. */
  takers(): Consumer[] {
    this.#atWork = 0;
    for (const { isAtWork } of this.#all) if (isAtWork) this.#atWork++;
    this.#share = this.#shareOf(this.#inFlightMax);
    const takers: Consumer[] = [];
    const { length } = this.#all;
    for (let at = 0; at < length; at++) {
      const consumer = this.#all[(this.#turn + at) % length];
      if (consumer !== undefined && this.mayTake(consumer)) takers.push(consumer);
    }
    return takers;
  }

  /** The next round begins with the consumer behind this one. */
  endRound(last: Consumer | undefined): void {
    if (last !== undefined) this.#turn = this.#all.indexOf(last) + 1;
  }

  #changed(): void {
    this.#all = [...this.#byName.values()];
  }

  /** Never 0, so that nobody is kept from all of it by the others. */
  #shareOf(whole: number): number {
    const equal = Math.ceil(whole / Math.max(1, this.#all.length));
    return Math.max(equal, Math.floor(whole / 2 / Math.max(1, this.#atWork)));
  }
}
