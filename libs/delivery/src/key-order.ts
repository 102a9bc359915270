import type { RecordView } from '@eventmesh/event';
import type { Entry } from './entry.ts';
import { KeyQueue } from './key-queue.ts';

/** A key whose first event is out, retried or being buried while others wait behind it. */
export interface StuckKey {
  readonly topic: string;
  readonly key: string;
  /** Who has the event; empty while nobody has. */
  readonly consumer: string;
  readonly heldMs: number;
  /** Events behind it. */
  readonly waiting: number;
  readonly failures: number;
}

/** The keys of an ordered subscription that have unsettled events. */
export class KeyOrder {
  readonly #ordered: boolean;
  readonly #queues = new Map<string, KeyQueue>();

  constructor(ordered: boolean) {
    this.#ordered = ordered;
  }

  *values(): Generator<Entry> {
    for (const { first } of this.#queues.values()) {
      for (let entry = first; entry !== undefined; entry = entry.behind) yield entry;
    }
  }

  /** Puts a new event behind the others of its key, if it has one that promises order. */
  join(entry: Entry): void {
    if (!this.#ordered) return;
    const { topic, key, handling } = entry.record;
    // A redriven event was given up before; its place in the order is long gone.
    if (key === '' || handling.onlySubscription !== '') return;
    this.#queue(topic, key).join(entry);
  }

  /** Forgets a key that has no events. */
  drop(queue: KeyQueue): void {
    this.#queues.delete(queue.id);
  }

  /** The longest held first. */
  stuck(max: number, nowMs: number): StuckKey[] {
    const stuck: KeyQueue[] = [];
    for (const queue of this.#queues.values()) {
      if (queue.sinceMs !== 0 && queue.size > 1) stuck.push(queue);
    }
    stuck.sort((a, b) => a.sinceMs - b.sinceMs);
    return stuck.slice(0, max).map(({ topic, key, first, sinceMs, size }) => ({
      topic,
      key,
      consumer: first?.consumer?.name ?? '',
      heldMs: Math.max(0, Math.round(nowMs - sinceMs)),
      waiting: size - 1,
      failures: first?.failures ?? 0,
    }));
  }

  #queue(topic: RecordView['topic'], key: string): KeyQueue {
    // No topic has a NUL, so no two pairs make one id.
    const id = `${topic}\0${key}`;
    let queue = this.#queues.get(id);
    if (queue === undefined) {
      queue = new KeyQueue(id, topic, key);
      this.#queues.set(id, queue);
    }
    return queue;
  }
}
