import { MeshError } from '@eventmesh/errors';
import type { EventStore, LogInfo } from '@eventmesh/store-api';
import { decodeLetter, type StoredLetter } from './letter.ts';
import type { DeadLimitsOf } from './limits.ts';
import { Settled } from './settled.ts';

const PREFIX = 'dead.';
/** The cursor of what was redriven or purged. */
const CURSOR = 'settled';
/** Keys of the last letters that are remembered: those of a crash are the newest. */
const DUPLICATE_WINDOW = 10_000;

export interface DeadStats {
  /** Letters that are neither redriven, purged nor dropped by age. */
  readonly count: number;
  /** Their stored bytes; the store counts in blocks, so a little more than they have. */
  readonly bytes: number;
  /** Bytes of the whole log, settled letters behind an unsettled one included. */
  readonly storedBytes: number;
  /** Position of the oldest one; one past the last letter when there is none. */
  readonly first: number;
  /** Position of the last letter ever; 0 when there never was one. */
  readonly last: number;
  readonly settled: Settled;
}

interface Made {
  readonly retentionMs: number;
  readonly log: Promise<LogInfo>;
}

/** Read ahead for a letter that is asked for by itself. */
const ONE_READ_AHEAD_BYTES = 64 * 1024;

const nothing = (): DeadStats => {
  return { count: 0, bytes: 0, storedBytes: 0, first: 1, last: 0, settled: new Settled() };
};

export interface ReadLetters {
  /** Exactly these, rising; otherwise everything between `from` and `upTo`. */
  readonly ids?: readonly number[];
  readonly from: number;
  readonly upTo: number;
}

/** The log of dead letters of each tenant, `dead.<tenant>`, and what of it is settled. */
export class DeadLog {
  readonly #store: EventStore;
  readonly #limits: DeadLimitsOf;
  readonly #made = new Map<string, Made>();

  constructor(store: EventStore, limits: DeadLimitsOf) {
    this.#store = store;
    this.#limits = limits;
  }

  name(tenant: string): string {
    return PREFIX + tenant;
  }

  /** The tenants that have, or had, dead letters, with the state of their logs. */
  async all(): Promise<ReadonlyMap<string, LogInfo>> {
    const logs = await this.#store.listLogs();
    const dead = logs.filter(({ spec }) => spec.name.startsWith(PREFIX));
    return new Map(dead.map((info) => [info.spec.name.slice(PREFIX.length), info]));
  }

  /** Makes the log when it is not there, and again when its retention has changed. */
  async ensure(tenant: string): Promise<string> {
    const name = this.name(tenant);
    const { retentionMs } = this.#limits(tenant);
    let made = this.#made.get(tenant);
    if (made?.retentionMs !== retentionMs) {
      made = { retentionMs, log: this.#make(name, retentionMs, made) };
      this.#made.set(tenant, made);
      const mine = made;
      made.log.catch(() => {
        if (this.#made.get(tenant) === mine) this.#made.delete(tenant);
      });
    }
    await made.log;
    return name;
  }

  /** Behind the call before it, so that the last word is the one that holds. */
  async #make(name: string, retentionMs: number, before: Made | undefined): Promise<LogInfo> {
    await before?.log.catch(() => undefined);
    return this.#store.ensureLog({
      name,
      partitions: 1,
      retentionMs,
      // At the quota nothing is dropped, so the store must not do it either.
      retentionBytes: 0,
      duplicateWindow: DUPLICATE_WINDOW,
    });
  }

  async settled(tenant: string): Promise<Settled> {
    const id = { log: this.name(tenant), partition: 0, subscription: CURSOR };
    return new Settled(await this.#store.loadCursor(id));
  }

  /**
   * Keeps what is settled, and drops what lies in front of the floor.
   * @throws Aborted when another emesher has become the owner meanwhile.
   */
  async commit(tenant: string, settled: Settled, epoch: number): Promise<void> {
    const log = this.name(tenant);
    const id = { log, partition: 0, subscription: CURSOR };
    const fenced = await this.#store.commitCursors([{ id, cursor: settled.toCursor(epoch) }]);
    if (fenced.length > 0) {
      throw new MeshError('Aborted', 'another emesher changes the dead letters now; try again', {
        reason: 'FENCED',
      });
    }
    await this.#store.trim(log, 0, settled.floor);
  }

  async stats(tenant: string, info?: LogInfo): Promise<DeadStats> {
    const partition = (info ?? (await this.#store.logInfo(this.name(tenant))))?.partitions[0];
    if (partition === undefined) return nothing();
    const settled = await this.settled(tenant);
    settled.raise(partition.first);
    const { floor, above } = settled;
    const count = Math.max(0, partition.last + 1 - floor - above.count);
    return {
      count,
      bytes: count === 0 ? 0 : Math.max(0, partition.bytes - above.bytes),
      storedBytes: partition.bytes,
      first: floor,
      last: partition.last,
      settled,
    };
  }

  /** When the letter at a position died, ms since the epoch; 0 when there is none. */
  async diedAt(tenant: string, position: number): Promise<number> {
    if ((await this.#store.logInfo(this.name(tenant))) === undefined) return 0;
    for await (const { letter } of this.#range(tenant, position, position)) return letter.deadMs;
    return 0;
  }

  /** Reads letters in rising order, settled ones among them; holds no more than a read ahead. */
  async *letters(tenant: string, { ids, from, upTo }: ReadLetters): AsyncGenerator<StoredLetter> {
    if (ids === undefined) {
      yield* this.#range(tenant, from, upTo);
      return;
    }
    for (const id of ids) if (id >= from && id <= upTo) yield* this.#range(tenant, id, id);
  }

  async *#range(tenant: string, from: number, upTo: number): AsyncGenerator<StoredLetter> {
    if (from > upTo) return;
    for await (const item of this.#store.read({
      log: this.name(tenant),
      partition: 0,
      from: { kind: 'position', position: Math.max(1, from) },
      stopAtEnd: true,
      ...(from === upTo ? { readAheadBytes: ONE_READ_AHEAD_BYTES } : {}),
    })) {
      if (item.kind === 'gap' && item.to >= upTo) return;
      if (item.kind !== 'batch') continue;
      for (const [index, bytes] of item.records.entries()) {
        const position = item.positions[index] ?? 0;
        if (position > upTo) return;
        yield decodeLetter(position, bytes);
      }
      if (item.upTo >= upTo) return;
    }
  }
}
