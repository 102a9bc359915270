import type { RecordView } from '@eventmesh/event';
import type { Consumer, Consumers } from './consumers.ts';
import type { Entry } from './entry.ts';
import { KeyOrder, type StuckKey } from './key-order.ts';
import type { KeyQueue } from './key-queue.ts';
import type { Leases } from './leases.ts';
import type { ParkedKey } from './parked-key.ts';
import { DueHeap, Fifo } from './queues.ts';

export interface BacklogParts {
  readonly ordered: boolean;
  readonly leases: Leases;
  readonly consumers: Consumers;
  /** A key whose other events wait in the log has one less in memory. */
  readonly eased: (parked: ParkedKey) => void;
}

/**
 * The events that are held: all that was offered and is not settled, and which of them comes next.
 * That an event lies in a queue is a hint: whether its key lets it go is looked at when it is taken
 * out. What holds is that the next event of each key that may go lies in some queue, or its key
 * stands in the `waitingKeys` of its consumer.
 */
export class Backlog {
  readonly #leases: Leases;
  readonly #consumers: Consumers;
  readonly #order: KeyOrder;
  readonly #ready = new Fifo<Entry>();
  /** What comes again, ahead of what was never delivered. */
  readonly #again = new Fifo<Entry>();
  /** Due again, and held back by the pace of retries: goes first when there is room for it. */
  readonly #paced = new Fifo<Entry>();
  readonly #later = new DueHeap<Entry>();
  #held = 0;
  #heldBytes = 0;
  readonly #eased: (parked: ParkedKey) => void;

  constructor(parts: BacklogParts) {
    this.#order = new KeyOrder(parts.ordered);
    this.#leases = parts.leases;
    this.#consumers = parts.consumers;
    this.#eased = parts.eased;
  }

  get held(): number {
    return this.#held;
  }

  /** What was not tried yet, whether its key lets it go or not. */
  get untried(): number {
    return this.#ready.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What waits for the end of a delay. */
  get delayed(): number {
    return this.#later.size;
  }

  /** What is due again and waits until the pace of retries allows it. */
  get paced(): number {
    return this.#paced.size;
  }

  /** When a delay is over next, in ms. */
  get nextDue(): number | undefined {
    return this.#later.nextDue;
  }

  /** What is neither out nor given up; some of it twice. */
  *values(): Generator<Entry> {
    yield* this.#paced.values();
    yield* this.#again.values();
    yield* this.#ready.values();
    yield* this.#later.values();
    yield* this.#order.values();
  }

  stuckKeys(max: number, nowMs: number): StuckKey[] {
    return this.#order.stuck(max, nowMs);
  }

  /** Events that have another one of their key before them. */
  get waiting(): number {
    return this.#order.waiting;
  }

  keyOf(record: RecordView): KeyQueue | undefined {
    return this.#order.keyOf(record);
  }

  findKey(record: RecordView): KeyQueue | undefined {
    return this.#order.findKey(record);
  }

  longestStuck(): KeyQueue[] {
    return this.#order.longestStuck();
  }

  cutWaiting(queue: KeyQueue): Entry[] {
    return this.#order.cutWaiting(queue);
  }

  /** Forgets a key without events, unless some of it wait in the log. */
  drop(queue: KeyQueue): void {
    if (queue.empty && queue.parked === undefined) this.#order.drop(queue);
  }

  hold(entry: Entry): void {
    this.#held++;
    this.#heldBytes += entry.record.event.length;
  }

  /** It is not held here any more, and not settled either. */
  release(entry: Entry): void {
    this.#held--;
    this.#heldBytes -= entry.record.event.length;
  }

  /** Puts an event that is held behind the others, and of its key, if it has one. */
  add(entry: Entry, key: KeyQueue | undefined): void {
    if (key !== undefined) this.#order.join(entry, key);
    entry.queued = true;
    this.#ready.push(entry);
  }

  /** The same with an event that must not go out before a time. */
  addLater(entry: Entry, key: KeyQueue | undefined, dueMs: number, nowMs: number): void {
    if (key !== undefined) {
      this.#order.join(entry, key);
      if (key.first === entry) key.sinceMs = nowMs;
    }
    this.wait(entry, dueMs);
  }

  /** It is settled. */
  remove(entry: Entry, nowMs: number): void {
    this.release(entry);
    entry.progress.settle(entry.position);
    this.leaveKey(entry, nowMs);
  }

  /** Its key goes on without it. */
  leaveKey(entry: Entry, nowMs: number): void {
    const { key } = entry;
    if (key === undefined) return;
    const wasFirst = key.firstOut === entry;
    this.#order.leave(entry, key, nowMs);
    entry.key = undefined;
    if (key.parked !== undefined) this.#eased(key.parked);
    if (key.empty) {
      this.drop(key);
      return;
    }
    if (wasFirst) this.#beginTime(key, nowMs);
    this.wake(key);
  }

  /** It is given up and settled later; its key waits for that. */
  die(entry: Entry, nowMs: number): void {
    const { key } = entry;
    const wasFirst = key?.firstOut === entry;
    key?.die(entry, nowMs);
    entry.state = 'dead';
    if (key !== undefined && wasFirst) this.#beginTime(key, nowMs);
  }

  /** It may go out again. */
  ready(entry: Entry): void {
    entry.state = 'ready';
    entry.delay = undefined;
    if (entry.key === undefined) this.#enqueue(entry);
    else this.wake(entry.key);
  }

  /** It may go out again at a time. */
  wait(entry: Entry, dueMs: number): void {
    entry.state = 'later';
    entry.delay = { dueMs };
    this.#later.push(dueMs, entry);
  }

  /** What is due becomes ready. */
  wakeDue(nowMs: number): void {
    const later = this.#later;
    for (let entry = later.popDue(nowMs); entry; entry = later.popDue(nowMs)) this.ready(entry);
  }

  /**
   * Takes out the next event that its key and the pace of retries let go to a consumer, or to the
   * one that works on its key. A retry for which neither has room now waits: for whoever has room
   * first, or for the one that has its key.
   */
  take(taker: Consumer): Entry | undefined {
    const mayRetry = this.#consumers.mayRetry(taker);
    for (;;) {
      const paced = mayRetry ? this.#paced.shift() : undefined;
      const entry = paced ?? this.#again.shift() ?? this.#ready.shift();
      if (entry === undefined) return undefined;
      const { key } = entry;
      entry.queued = false;
      if (key !== undefined && !key.mayGo(entry)) continue;
      if (entry.failures === 0) return entry;
      const consumer = key?.consumer ?? taker;
      if (consumer === taker ? mayRetry : this.#consumers.mayRetry(consumer)) return entry;
      if (key?.consumer === undefined) this.#pace(entry);
      else key.waitForConsumer();
    }
  }

  /** Puts back what was taken last: it comes next again. */
  putBack(entry: Entry): void {
    entry.queued = true;
    this.#again.unshift(entry);
  }

  /** Sees to it that the next event of a key, if it may go out, lies in some queue. */
  wake(key: KeyQueue): void {
    const { next } = key;
    if (next === undefined || next.queued || key.waitsForConsumer || !key.mayGo(next)) return;
    this.#enqueue(next);
  }

  #pace(entry: Entry): void {
    entry.queued = true;
    this.#paced.push(entry);
  }

  #enqueue(entry: Entry): void {
    entry.queued = true;
    this.#again.push(entry);
  }

  /** The consumer can begin with what is out next of a key only now, so its lease starts anew. */
  #beginTime(key: KeyQueue, nowMs: number): void {
    const lease = key.firstOut?.lease;
    if (lease !== undefined) this.#leases.renew(lease, nowMs);
  }
}
