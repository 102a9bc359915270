import assert from 'node:assert/strict';
import type { Counters, RetryPolicy, SubscriptionSpec } from '../index.ts';

/** What somebody has published, and what has become of it so far. */
export interface NaiveEvent {
  readonly partition: number;
  readonly position: number;
  readonly matched: boolean;
  readonly key: string;
  readonly bytes: number;
  readonly expiryMs: number;
  readonly ingressMs: number;
  fate: 'open' | 'delivered' | 'expired' | 'dead';
  /** Its dead letter is not durable yet. */
  burying: boolean;
  failures: number;
  /** Not to be delivered before. */
  dueMs: number;
}

export interface Out {
  readonly id: number;
  readonly event: NaiveEvent;
  readonly consumer: string;
  /** Of an event that had failed before. */
  readonly isRetry: boolean;
  /** When the time of its lease began. */
  sinceMs: number;
}

export interface NaiveConsumer {
  events: number;
  bytes: number;
  bytesBounded: boolean;
}

export type Verb =
  | { readonly kind: 'accept' }
  | { readonly kind: 'renew' }
  | { readonly kind: 'return' }
  | { readonly kind: 'release'; readonly delayMs: number }
  | { readonly kind: 'reject'; readonly reason: string };

/** Jitter that the tests fix: half of what is possible is taken off. */
export const RANDOM = 0.5;

/**
 * What a subscription has promised, told event by event without regard to speed: lists that are
 * searched from end to end, and no queue of anything. It does not say what is delivered when, only
 * what may be and what must have been.
 */
export class Naive {
  readonly spec: SubscriptionSpec;
  nowMs = 1_000_000;
  /** By partition. */
  readonly log: NaiveEvent[][];
  readonly consumers = new Map<string, NaiveConsumer>();
  out: Out[] = [];
  /** Ids that must be refused for ever. */
  readonly stale: number[] = [];
  readonly #ids = new Set<number>();
  /** First position that the books of a partition are about. */
  readonly from: number[];
  /** By partition: the fates and failures that a crash goes back to. */
  readonly #durable: Pick<NaiveEvent, 'fate' | 'failures' | 'dueMs'>[][];
  #leastWindow = 1;
  /** While retries are slowed down: most events out that have failed before. */
  slowWindow: number | undefined;
  #failuresInARow = 0;

  constructor(spec: SubscriptionSpec, partitions: number) {
    this.spec = spec;
    this.log = Array.from({ length: partitions }, () => []);
    this.from = this.log.map(() => 1);
    this.#durable = this.log.map(() => []);
  }

  publish(partition: number, event: Omit<NaiveEvent, 'partition' | 'position' | keyof Fresh>) {
    const log = this.log[partition] ?? [];
    log.push({ ...event, ...FRESH, partition, position: log.length + 1 });
  }

  event(partition: number, position: number): NaiveEvent {
    const event = this.log[partition]?.[position - 1];
    assert(event, `there is no event ${partition}/${position}`);
    return event;
  }

  join(name: string) {
    this.consumers.set(name, { events: 0, bytes: 0, bytesBounded: false });
  }

  leave(name: string) {
    this.consumers.delete(name);
    for (const out of this.out) if (out.consumer === name) this.#land(out);
  }

  credit(name: string, events: number, bytes: number) {
    const consumer = this.consumers.get(name);
    if (consumer === undefined) return;
    consumer.events += events;
    consumer.bytes += bytes;
    consumer.bytesBounded ||= bytes > 0;
  }

  withdraw(name: string) {
    const consumer = this.consumers.get(name);
    if (consumer !== undefined)
      Object.assign(consumer, { events: 0, bytes: 0, bytesBounded: false });
  }

  /** The engine hands an event out; is it allowed to? */
  handedOut(id: number, event: NaiveEvent, to: string, told: { failures: number }) {
    const at = `${event.partition}/${event.position} to ${to}`;
    const consumer = this.consumers.get(to);
    assert(consumer, `${at}: nobody of that name`);
    assert(!this.#ids.has(id), `${at}: the id was used before`);
    assert(consumer.events > 0, `${at}: without credit`);
    assert(!consumer.bytesBounded || consumer.bytes > 0, `${at}: without credit in bytes`);
    assert(event.matched && event.fate === 'open' && !event.burying, `${at}: it is settled`);
    assert(!this.out.some((out) => out.event === event), `${at}: it is out`);
    assert(event.expiryMs === 0 || event.expiryMs > this.nowMs, `${at}: it has expired`);
    assert(event.dueMs <= this.nowMs, `${at}: ${event.dueMs - this.nowMs} ms early`);
    assert.equal(told.failures, event.failures, `${at}: failures`);
    assert(event.failures < this.budget, `${at}: its budget is used up`);
    this.#checkKey(event, to, at);
    consumer.events--;
    if (consumer.bytesBounded) consumer.bytes -= event.bytes;
    this.#ids.add(id);
    assert(event.failures === 0 || this.#hasRoom(to), `${at}: no room in the window of retries`);
    this.out.push({ id, event, consumer: to, isRetry: told.failures > 0, sinceMs: this.nowMs });
    assert(this.out.length <= this.spec.inFlightMax, `${at}: more out than allowed`);
  }

  /** Failures until an event is given up. */
  get budget(): number {
    return this.spec.retry.kind === 'none' ? 1 : this.spec.retry.attemptsMax;
  }

  /** Others of its key at one consumer, all older ones out or done, no younger one out. */
  #checkKey(event: NaiveEvent, to: string, at: string) {
    for (const other of this.#sameKey(event)) {
      const out = this.out.find((one) => one.event === other);
      assert(out === undefined || out.consumer === to, `${at}: its key is at ${out?.consumer}`);
      if (other.position > event.position) assert(!out, `${at}: behind ${other.position}`);
      else if (!out && other.fate === 'open' && !this.#mayBeGone(other)) {
        assert.fail(`${at}: before ${other.position}`);
      }
    }
  }

  /** Ended by its expiry, as far as one can know from outside. */
  #mayBeGone(event: NaiveEvent): boolean {
    return event.expiryMs !== 0 && event.expiryMs <= this.nowMs;
  }

  #sameKey(event: NaiveEvent): NaiveEvent[] {
    if (!this.spec.ordered || event.key === '') return [];
    const log = (this.log[event.partition] ?? []).slice((this.from[event.partition] ?? 1) - 1);
    return log.filter((other) => other !== event && other.matched && other.key === event.key);
  }

  /** The one of its key that its consumer is at work on; itself when it has none. */
  #isHead({ event }: Out): boolean {
    const older = this.#sameKey(event).filter(({ position }) => position < event.position);
    return !older.some((other) => this.out.some((out) => out.event === other));
  }

  /** Settles one delivery; false when it has to be refused. */
  settle(id: number, by: string, verb: Verb): boolean {
    const out = this.out.find((one) => one.id === id && one.consumer === by);
    if (out === undefined) return false;
    if (verb.kind === 'renew') out.sinceMs = this.nowMs;
    else if (verb.kind === 'return') this.#again(out, 0);
    else if (verb.kind === 'accept') {
      this.#end(out, () => (out.event.fate = 'delivered'));
      this.#succeeded();
    } else if (verb.kind === 'reject') this.#end(out, () => (out.event.burying = true));
    else if (verb.delayMs === 0) this.#fail(out);
    else if (this.#tooOld(out.event)) this.#end(out, () => (out.event.burying = true));
    else this.#again(out, verb.delayMs);
    return true;
  }

  /** Leases that ran out: of a key only the oldest can. */
  tick() {
    for (const out of [...this.out]) {
      if (!this.out.includes(out) || !this.#isHead(out)) continue;
      if (out.sinceMs + this.spec.ackTimeoutMs <= this.nowMs) this.#fail(out);
    }
  }

  #fail(out: Out) {
    const { event } = out;
    event.failures++;
    this.#failed(1);
    if (event.failures >= this.budget || this.#tooOld(event)) {
      this.#end(out, () => (event.burying = true));
    } else {
      this.#again(out, retryMs(this.spec.retry, event.failures));
    }
  }

  #failed(events: number) {
    this.#failuresInARow += events;
    const least = this.#leastWindow;
    if (this.slowWindow !== undefined) {
      this.slowWindow = Math.max(least, this.slowWindow - events);
    } else if (this.#failuresInARow >= least && least < this.spec.inFlightMax) {
      this.slowWindow = least;
    }
  }

  #succeeded() {
    this.#failuresInARow = 0;
    if (this.slowWindow !== undefined) this.slowWindow++;
    if (this.slowWindow === this.spec.inFlightMax) this.slowWindow = undefined;
  }

  /** A new owner knows of failures and of no success. */
  tookOver(leastWindow: number) {
    this.#leastWindow = leastWindow;
    this.slowWindow = undefined;
    this.#failuresInARow = 0;
    for (const log of this.log) {
      this.#failed(log.filter(({ fate, failures }) => fate === 'open' && failures > 0).length);
    }
  }

  /** Whether a consumer may have one more retry: each has its share of the window. */
  #hasRoom(name: string): boolean {
    if (this.slowWindow === undefined) return true;
    const has = this.out.filter(({ isRetry, consumer }) => isRetry && consumer === name).length;
    return has < this.#shareOf(this.slowWindow);
  }

  /** An equal part, or of half of it one among those that have something or would take it. */
  #shareOf(whole: number): number {
    const names = [...this.consumers.keys()];
    const atWork = names.filter(
      (name) => this.#hasCredit(name) || this.out.some(({ consumer }) => consumer === name),
    );
    const ofHalf = Math.floor(whole / 2 / Math.max(1, atWork.length));
    return Math.max(Math.ceil(whole / names.length), ofHalf);
  }

  #hasCredit(name: string): boolean {
    const { events = 0, bytes = 0, bytesBounded = false } = this.consumers.get(name) ?? {};
    return events > 0 && (!bytesBounded || bytes > 0);
  }

  /** It has failed, and nobody who would take it has room for a retry. */
  #isSlowed({ failures }: NaiveEvent): boolean {
    if (failures === 0) return false;
    return ![...this.consumers.keys()].some((name) => this.#takes(name) && this.#hasRoom(name));
  }

  #tooOld({ ingressMs }: NaiveEvent): boolean {
    const { ageMaxMs } = this.spec.retry;
    return ageMaxMs !== 0 && this.nowMs - ingressMs > ageMaxMs;
  }

  /** Comes again, and what went out behind it in its key after it. */
  #again(out: Out, delayMs: number) {
    out.event.dueMs = this.nowMs + delayMs;
    const key = this.#sameKey(out.event);
    for (const other of [...this.out]) {
      if (key.includes(other.event) && other.event.position > out.event.position) this.#land(other);
    }
    this.#land(out);
  }

  #end(out: Out, change: () => void) {
    const head = this.#isHead(out);
    this.#land(out);
    change();
    if (!head) return;
    const key = this.#sameKey(out.event);
    const next = this.out
      .filter(({ event }) => key.includes(event))
      .find((one) => this.#isHead(one));
    if (next !== undefined) next.sinceMs = this.nowMs;
  }

  #land(out: Out) {
    this.out = this.out.filter((one) => one !== out);
    this.stale.push(out.id);
  }

  /** The engine gives an event up. */
  givenUp(event: NaiveEvent, reason: string) {
    const at = `${event.partition}/${event.position}`;
    assert.equal(event.fate, 'open', `${at} is given up twice`);
    assert(!this.out.some((out) => out.event === event), `${at} is given up while it is out`);
    if (event.burying) return;
    if (reason === 'expired') {
      assert(this.#mayBeGone(event) && this.spec.deadLetterExpired, `${at} has not expired`);
    } else assert(event.failures >= this.budget, `${at} is given up for "${reason}"`);
    event.burying = true;
  }

  buried(event: NaiveEvent) {
    event.burying = false;
    event.fate = 'dead';
  }

  /** A cursor is durable: what it says is settled is so for ever. */
  written(partition: number, isSettled: (event: NaiveEvent) => boolean) {
    const log = this.log[partition] ?? [];
    for (const event of log) {
      if (event.position < (this.from[partition] ?? 1) || !event.matched) continue;
      const settled = isSettled(event);
      if (settled && event.fate === 'open' && this.#mayBeGone(event)) event.fate = 'expired';
      assert.equal(settled, event.fate !== 'open', `${partition}/${event.position} in the cursor`);
    }
    this.#durable[partition] = log.map(({ fate, failures, dueMs }) => ({ fate, failures, dueMs }));
  }

  /** The engine has nothing to write about a partition. */
  unchanged(partition: number) {
    for (const event of this.log[partition] ?? []) {
      const { fate, failures, dueMs } = this.#durable[partition]?.[event.position - 1] ?? FRESH;
      assert(event.fate === fate, `${partition}/${event.position} is ${event.fate}, unwritten`);
      assert(event.failures === failures, `${partition}/${event.position} has failed, unwritten`);
      const kept = event.dueMs === dueMs || event.dueMs <= this.nowMs || event.fate !== 'open';
      assert(kept, `${partition}/${event.position} is delayed, unwritten`);
    }
  }

  /** A new owner goes on from what is durable. */
  crashed() {
    for (const out of [...this.out]) this.#land(out);
    for (const [partition, log] of this.log.entries()) {
      for (const event of log) {
        const kept = this.#durable[partition]?.[event.position - 1];
        Object.assign(event, FRESH, kept);
      }
    }
  }

  /** Everything of a partition from a position on is to be delivered (again). */
  sought(partition: number, floor: number) {
    this.from[partition] = floor;
    for (const event of this.log[partition] ?? []) Object.assign(event, FRESH);
    this.#durable[partition] = [];
  }

  /**
   * However many events wait behind stuck ones: when a consumer would take more, nothing is left
   * that may go out, unless so much that cannot be dropped from memory is held as `room` says.
   */
  checkFlow(read: readonly Read[], room: number) {
    if (this.out.length >= this.spec.inFlightMax || ![...this.consumers.keys()].some(this.#takes)) {
      return;
    }
    let stuck = 0;
    for (const [partition, log] of this.log.entries()) {
      const looked = log.slice((this.from[partition] ?? 1) - 1);
      const open = looked.filter(({ matched, fate }) => matched && fate === 'open');
      const { next = 1 } = read[partition] ?? {};
      stuck += open.filter((event) => event.position < next && this.#holdsUp(event)).length;
    }
    if (stuck >= room) return;
    for (const event of this.log.flat()) {
      const early = event.position < (this.from[event.partition] ?? 1);
      const expired = event.expiryMs !== 0 && event.expiryMs <= this.nowMs;
      if (early || !event.matched || event.fate !== 'open' || expired) continue;
      const others = this.#sameKey(event).filter(({ fate }) => fate === 'open');
      const waits = others.some(({ position, burying }) => burying || position < event.position);
      const free = !waits && !this.#isSlowed(event) && !this.#isBusy(event);
      assert(!free, `${event.partition}/${event.position} might go out, and a consumer waits`);
    }
  }

  readonly #takes = (name: string): boolean => {
    const out = this.out.filter(({ consumer }) => consumer === name).length;
    return this.#hasCredit(name) && out < this.#shareOf(this.spec.inFlightMax);
  };

  #isBusy(event: NaiveEvent): boolean {
    const out = this.out.some((one) => one.event === event);
    return out || event.burying || event.dueMs > this.nowMs;
  }

  /** The first of its key, before one that is busy, or due without room: it stays in memory. */
  #holdsUp(event: NaiveEvent): boolean {
    if (this.#isSlowed(event)) return true;
    const others = this.#sameKey(event).filter(({ fate }) => fate === 'open');
    if (others.every(({ position }) => position > event.position)) return true;
    if (this.#isBusy(event)) return true;
    return others.some((other) => other.position > event.position && this.#isBusy(other));
  }

  /**
   * The books, from what has become of each event that was looked at: in this life up to `next`, and
   * what was settled beyond before the restart.
   */
  checkBooks(counters: Counters, held: number, read: readonly Read[]) {
    const looked = this.log.flatMap((log, partition) => {
      const { next = 1, countedUpTo = 0 } = read[partition] ?? {};
      const there = log.slice((this.from[partition] ?? 1) - 1);
      return there.filter(({ position, matched, fate }) => {
        return position < next || (position <= countedUpTo && (!matched || fate !== 'open'));
      });
    });
    const count = (fate: NaiveEvent['fate']) =>
      looked.filter((event) => event.matched && event.fate === fate).length;
    assert.equal(counters.considered, looked.length, 'considered');
    assert.equal(counters.filtered, looked.filter(({ matched }) => !matched).length, 'filtered');
    assert.equal(counters.delivered, count('delivered'), 'delivered');
    assert.equal(counters.deadLettered, count('dead'), 'dead-lettered');
    assert.equal(counters.dropped, 0, 'dropped');
    // Which of the events that have expired the engine has come across already, it does not say.
    assert.equal(counters.expired + held, count('expired') + count('open'), 'expired and held');
    assert(counters.expired >= count('expired'), 'expired');
  }
}

/** How far a partition was read. */
interface Read {
  readonly next: number;
  readonly countedUpTo: number;
}

type Fresh = Pick<NaiveEvent, 'fate' | 'burying' | 'failures' | 'dueMs'>;
const FRESH: Fresh = { fate: 'open', burying: false, failures: 0, dueMs: 0 };

function retryMs({ kind, delayMs, delayMaxMs, delaysMs }: RetryPolicy, failures: number): number {
  if (kind === 'list') return Math.round((delaysMs[failures - 1] ?? delaysMs.at(-1) ?? 0) * 0.95);
  if (kind === 'linear') return Math.round(Math.min(delayMs * failures, delayMaxMs) * 0.95);
  return Math.round(Math.min(delayMs * 2 ** (failures - 1), delayMaxMs) * 0.75);
}
