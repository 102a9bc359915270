import { EventView } from '@eventmesh/event';
import type { AppendReceipt, AppendRecord, EventStore } from '@eventmesh/store-api';
import { FIRING_PRODUCER } from './event-publisher.ts';
import type { TimerBook } from './timer-book.ts';
import type { TimerLog } from './timer-log.ts';

/** An event that is to wait. */
export interface NewTimer extends AppendRecord {
  /** Of the tenant's events, where it goes when it is due. */
  readonly partition: number;
}

/** What of some events is in the log of timers. */
interface Sweep {
  readonly upTo: number;
  /** Where those lie that wait, or are being published, by their keys. */
  readonly alive: ReadonlyMap<string, number>;
}

interface Lives {
  readonly store: EventStore;
  readonly log: TimerLog;
  /** The log of the tenant's events. */
  readonly events: string;
  /** Of the owner, while that is here. */
  readonly book: () => TimerBook | undefined;
}

/**
 * Puts events into the log of timers. Its window of duplicates knows an event for longer than it
 * waits: one that was taken back, skipped or given up may be scheduled again, and then begins a life
 * of its own, where one that waits or has been published is a duplicate.
 */
export class TimerLives {
  readonly #lives: Lives;
  #sweeping: Promise<unknown> = Promise.resolve();
  /** The sweep that has not begun yet: whoever asks meanwhile shares it. */
  #next: { readonly keys: Set<string>; readonly done: Promise<Sweep> } | undefined;

  constructor(lives: Lives) {
    this.#lives = lives;
  }

  async append(timers: readonly NewTimer[]): Promise<AppendReceipt> {
    const { store, log } = this.#lives;
    const receipt = await store.append({ log: log.name, partition: 0, records: timers });
    const doubtful = receipt.duplicates.filter((index) => !this.#waits(receipt.positions[index]));
    const known = await this.#published(timers, doubtful);
    if (known.length === doubtful.length) return receipt;
    const asked = doubtful.filter((index) => !known.includes(index));
    const { alive, upTo } = await this.#look(asked.map((index) => keyOf(timers[index])));
    const positions = [...receipt.positions];
    const over = asked.filter((index) => {
      const position = alive.get(keyOf(timers[index]));
      if (position !== undefined) positions[index] = position;
      return position === undefined;
    });
    // One may have been published, and dropped from the log, before that was read.
    const meanwhile = new Set(await this.#published(timers, over));
    const again = over.filter((index) => !meanwhile.has(index));
    return this.#again(timers, { ...receipt, positions }, again, upTo);
  }

  /** The key tells apart what is stored now from what was done with before. */
  async #again(
    timers: readonly NewTimer[],
    first: AppendReceipt,
    indexes: readonly number[],
    upTo: number,
  ): Promise<AppendReceipt> {
    if (indexes.length === 0) return first;
    const { store, log } = this.#lives;
    const records = indexes.map((index) => ({
      bytes: timers[index]?.bytes ?? new Uint8Array(),
      dedupKey: `${keyOf(timers[index])}\0${upTo}`,
    }));
    const receipt = await store.append({ log: log.name, partition: 0, records });
    const positions = [...first.positions];
    for (const [at, index] of indexes.entries()) positions[index] = receipt.positions[at] ?? 0;
    const twice = new Set(receipt.duplicates.map((at) => indexes[at]));
    const once = new Set(indexes.filter((index) => !twice.has(index)));
    const duplicates = first.duplicates.filter((index) => !once.has(index));
    return { positions, duplicates, durability: receipt.durability };
  }

  #waits(position = 0): boolean {
    return this.#lives.book()?.waits(position) === true;
  }

  /**
   * Which of these the window of the tenant's events knows. To repeat a batch that a producer has had
   * applied stores nothing and answers where its records lie.
   */
  async #published(timers: readonly NewTimer[], indexes: readonly number[]): Promise<number[]> {
    const { store, events } = this.#lives;
    const known: number[] = [];
    const groups = Map.groupBy(indexes, (index) => timers[index]?.partition ?? 0);
    for (const [partition, group] of groups) {
      if ((await store.producerSequence(events, partition, FIRING_PRODUCER)) === 0) continue;
      const records = group.flatMap((index) => timers[index] ?? []);
      const producer = { id: FIRING_PRODUCER, previous: 0, last: 1 };
      const { positions } = await store.append({ log: events, partition, records, producer });
      known.push(...group.filter((_, at) => positions[at] !== 0));
    }
    return known;
  }

  #look(keys: readonly string[]): Promise<Sweep> {
    let next = this.#next;
    if (next === undefined) {
      const wanted = new Set<string>();
      const done = this.#sweeping.then(() => {
        this.#next = undefined;
        return this.#sweep(wanted);
      });
      this.#sweeping = done.catch(() => undefined);
      next = { keys: wanted, done };
      this.#next = next;
    }
    for (const key of keys) next.keys.add(key);
    return next.done;
  }

  async #sweep(keys: ReadonlySet<string>): Promise<Sweep> {
    const found = new Map<number, string>();
    // All that is fired counts as not published yet, so that the book tells of it.
    const book = await this.#lives.log.load(
      () => 0,
      (position, record) => {
        const { source, id } = new EventView(record.event);
        const key = `${source}\0${id}`;
        if (keys.has(key)) found.set(position, key);
      },
    );
    const fired = new Set(book.open.flatMap(({ positions }) => positions));
    const alive = [...found].filter(([position]) => book.waits(position) || fired.has(position));
    return { upTo: book.upTo, alive: new Map(alive.map(([position, key]) => [key, position])) };
  }
}

const keyOf = (timer: NewTimer | undefined): string => timer?.dedupKey ?? '';
