import type { RecordView } from '@eventmesh/event';
import type { Entry } from './entry.ts';
import { orderedKey } from './key-id.ts';
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
  /** Those of them that were dropped from memory and wait in the log. */
  readonly parked: number;
  readonly failures: number;
}

/** The keys of an ordered subscription that have unsettled events. */
export class KeyOrder {
  readonly #ordered: boolean;
  readonly #queues = new Map<string, KeyQueue>();
  #waiting = 0;

  constructor(ordered: boolean) {
    this.#ordered = ordered;
  }

  *values(): Generator<Entry> {
    for (const { first } of this.#queues.values()) {
      for (let entry = first; entry !== undefined; entry = entry.behind) yield entry;
    }
  }

  /** Events in memory that have another one of their key before them. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The key of an event if it has one that promises order; one without events is made. */
  keyOf(record: RecordView): KeyQueue | undefined {
    const id = this.#ordered ? orderedKey(record) : undefined;
    if (id === undefined) return undefined;
    let queue = this.#queues.get(id);
    if (queue === undefined) {
      queue = new KeyQueue(id, record.topic, record.key);
      this.#queues.set(id, queue);
    }
    return queue;
  }

  findKey(record: RecordView): KeyQueue | undefined {
    const id = orderedKey(record);
    return id === undefined ? undefined : this.#queues.get(id);
  }

  /** Puts a new event behind the others of its key. */
  join(entry: Entry, queue: KeyQueue): void {
    queue.join(entry);
    if (queue.size > 1) this.#waiting++;
  }

  /** An event is settled. */
  leave(entry: Entry, queue: KeyQueue, nowMs: number): void {
    queue.leave(entry, nowMs);
    if (!queue.empty) this.#waiting--;
  }

  /** See KeyQueue. */
  cutWaiting(queue: KeyQueue): Entry[] {
    const waiting = queue.cutWaiting();
    this.#waiting -= waiting.length;
    return waiting;
  }

  /** Keys with more than one event, the longest held first. */
  longestStuck(): KeyQueue[] {
    const stuck = [...this.#queues.values()].filter(({ size }) => size > 1);
    return stuck.sort((a, b) => a.sinceMs - b.sinceMs);
  }

  /** Forgets a key that has no events. */
  drop(queue: KeyQueue): void {
    this.#queues.delete(queue.id);
  }

  /** The longest held first. */
  stuck(max: number, nowMs: number): StuckKey[] {
    const stuck: KeyQueue[] = [];
    for (const queue of this.#queues.values()) {
      if (queue.sinceMs !== 0 && (queue.size > 1 || queue.parked)) stuck.push(queue);
    }
    stuck.sort((a, b) => a.sinceMs - b.sinceMs);
    return stuck.slice(0, max).map((queue) => stuckKey(queue, nowMs));
  }
}

export function stuckKey(queue: KeyQueue, nowMs: number): StuckKey {
  const { topic, key, first, sinceMs, size, parked } = queue;
  const parkedEvents = parked?.events ?? 0;
  return {
    topic,
    key,
    consumer: first?.consumer?.name ?? '',
    heldMs: sinceMs === 0 ? 0 : Math.max(0, Math.round(nowMs - sinceMs)),
    waiting: Math.max(0, size - 1) + parkedEvents,
    parked: parkedEvents,
    failures: first?.failures ?? 0,
  };
}
