import type { Consumer } from './consumers.ts';
import type { Entry } from './entry.ts';
import type { ParkedKey } from './parked-key.ts';

/**
 * The unsettled events of one key, in the order of the log.
 *
 *     first … | next …
 *     out, or | ready, or waiting for a delay,
 *     dead    | or dead
 *
 * What always holds:
 * - Everything before `next` is out or dead; `next` and what is behind it is not out.
 * - All that is out is out at one consumer, `consumer`; the key is bound to it until nothing is. So
 *   a consumer that joins gets no key that somebody works on, and one that leaves frees its keys.
 * - Only `next` may go out. So first deliveries are in order, several of them may be out at once,
 *   and an event that comes again is followed by all that went out behind it, in order again: that
 *   is recalled when the event fails.
 * - While a dead letter of the key is not durable nothing more goes out: after a crash the event
 *   would come again behind what had been accepted meanwhile.
 */
export class KeyQueue {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  first: Entry | undefined = undefined;
  last: Entry | undefined = undefined;
  /** The next to go out, once it may; undefined when all are out or dead. */
  next: Entry | undefined = undefined;
  consumer: Consumer | undefined = undefined;
  /** It stands in its consumer's `waitingKeys`. */
  waitsForConsumer = false;
  size = 0;
  /** When the events behind these wait in the log. */
  parked: ParkedKey | undefined = undefined;
  /** Greatest position of an event that has left: nothing of the key behind it has. */
  leftUpTo = 0;
  /** Since when `first` has been on its way, failed attempts included, in ms; 0: not yet. */
  sinceMs = 0;
  #out = 0;
  #dead = 0;

  constructor(id: string, topic: string, key: string) {
    this.id = id;
    this.topic = topic;
    this.key = key;
  }

  get empty(): boolean {
    return this.size === 0;
  }

  /** Whether an event may go out now. */
  mayGo(entry: Entry): boolean {
    return entry === this.next && entry.state === 'ready' && this.#dead === 0;
  }

  /** The oldest one that is out: the one that its consumer is at work on. */
  get firstOut(): Entry | undefined {
    let entry = this.first;
    while (entry !== undefined && entry !== this.next && entry.state !== 'out') {
      entry = entry.behind;
    }
    return entry === this.next ? undefined : entry;
  }

  join(entry: Entry): void {
    entry.key = this;
    entry.before = this.last;
    if (this.last === undefined) this.first = entry;
    else this.last.behind = entry;
    this.last = entry;
    this.next ??= entry;
    this.size++;
  }

  /** `next` goes out. */
  goOut(entry: Entry, consumer: Consumer, nowMs: number): void {
    this.consumer = consumer;
    this.#out++;
    this.next = entry.behind;
    if (entry === this.first && this.sinceMs === 0) this.sinceMs = nowMs;
  }

  /** An event that was out comes again: what went out behind it is landed, to follow it anew. */
  comeBack(entry: Entry, land: (recalled: Entry) => void): void {
    for (let other = entry.behind; other !== this.next && other; other = other.behind) {
      if (other.state !== 'out') continue;
      land(other);
      other.state = 'ready';
      this.#landed();
    }
    this.next = entry;
    this.#landed();
  }

  /** An event that was out, or `next`, is given up. */
  die(entry: Entry, nowMs: number): void {
    if (entry.state === 'out') this.#landed();
    this.#dead++;
    if (entry === this.first && this.sinceMs === 0) this.sinceMs = nowMs;
  }

  /** An event is settled. */
  leave(entry: Entry, nowMs: number): void {
    if (entry.state === 'out') this.#landed();
    else if (entry.state === 'dead') this.#dead--;
    if (entry === this.next) this.next = entry.behind;
    this.#unlink(entry, nowMs);
    if (entry.position > this.leftUpTo) this.leftUpTo = entry.position;
    this.size--;
  }

  /** An event of the key is settled without having joined it. */
  pass(position: number): void {
    if (position > this.leftUpTo) this.leftUpTo = position;
  }

  /**
   * Takes out what waits at the end, of one partition: all that is ready and lies in no queue,
   * behind the first event. Answers it in the order of the log.
   */
  cutWaiting(): Entry[] {
    const progress = this.parked?.progress ?? this.last?.progress;
    const waiting: Entry[] = [];
    let end = this.last;
    for (; end !== this.first && end?.progress === progress; end = end?.before) {
      if (end === undefined || end.state !== 'ready' || end.queued) break;
      waiting.push(end);
    }
    if (end === undefined || waiting.length === 0) return NOTHING;
    for (const entry of waiting) {
      if (entry === this.next) this.next = undefined;
      entry.key = undefined;
      entry.before = undefined;
      entry.behind = undefined;
    }
    end.behind = undefined;
    this.last = end;
    this.size -= waiting.length;
    if (this.next === undefined) this.stopWaiting();
    return waiting.reverse();
  }

  #unlink(entry: Entry, nowMs: number): void {
    const { before, behind } = entry;
    if (behind === undefined) this.last = before;
    else behind.before = before;
    if (before === undefined) this.#newFirst(behind, nowMs);
    else before.behind = behind;
    // A settled event that has grown old would keep the younger ones it points to from being freed.
    entry.before = undefined;
    entry.behind = undefined;
  }

  /** Its next event waits until the consumer has credit again, or room for a retry. */
  waitForConsumer(): void {
    this.waitsForConsumer = true;
    this.consumer?.waitingKeys.add(this);
  }

  stopWaiting(): void {
    if (!this.waitsForConsumer) return;
    this.waitsForConsumer = false;
    this.consumer?.waitingKeys.delete(this);
  }

  #newFirst(first: Entry | undefined, nowMs: number): void {
    this.first = first;
    this.sinceMs = first === undefined || first.state === 'ready' ? 0 : nowMs;
  }

  /** One less is out; with the last one the key is free. */
  #landed(): void {
    if (--this.#out > 0) return;
    this.stopWaiting();
    this.consumer = undefined;
  }
}

const NOTHING: Entry[] = [];
