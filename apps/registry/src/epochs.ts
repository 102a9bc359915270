import type { Kv, KvCompare, KvEntry, KvOperation } from '@eventmesh/kv-api';
import { decodeNumber, encodeText } from './keys.ts';

/** Greatest epoch of all whose counters are gone. */
const FLOOR = 'floor';
const EPOCHS = 'epochs/';
const OWNERS = 'owners/';

/** An epoch that nobody had before, with what must be true and done for it. */
export interface NextEpoch {
  readonly epoch: number;
  readonly compare: readonly KvCompare[];
  readonly put: KvOperation;
}

/**
 * Counters of epochs, one for each name that is owned or was a while ago. Names come and go, as
 * those of ephemeral subscriptions do, and what is known of a name must not stay for ever: when it
 * has had no owner for long its counter is dropped, and the floor raised to it. A name without a
 * counter begins above the floor, so never at an epoch that it had before.
 */
export class Epochs {
  readonly #kv: Kv;
  /** Names that had no owner at the last look, with the revision of their counters. */
  #idle: ReadonlyMap<string, number> = new Map();

  /** @param kv The control state below the ownership root. */
  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** The last epoch of a name, or one above it. */
  async last(name: string): Promise<number> {
    return readEpoch((await this.counter(name)) ?? (await this.#kv.get(FLOOR)));
  }

  /** Undefined when the name has none, or none any more. */
  counter(name: string): Promise<KvEntry | undefined> {
    return this.#kv.get(EPOCHS + name);
  }

  async next(name: string): Promise<NextEpoch> {
    const key = EPOCHS + name;
    const counter = await this.#kv.get(key);
    const compare = [{ key, modRevision: counter?.modRevision ?? 0 }];
    let before = counter;
    if (counter === undefined) {
      before = await this.#kv.get(FLOOR);
      compare.push({ key: FLOOR, modRevision: before?.modRevision ?? 0 });
    }
    const epoch = readEpoch(before) + 1;
    return { epoch, compare, put: putEpoch(key, epoch) };
  }

  /**
   * Drops the counters of names that had no owner when this was called last, nor one since; the time
   * between two calls is the least for which a former owner may resume its epoch. Answers how many.
   */
  async drop(): Promise<number> {
    const owned = new Set<string>();
    for await (const { key } of this.#all(OWNERS)) owned.add(key.slice(OWNERS.length));
    const idle = new Map<string, number>();
    let dropped = 0;
    for await (const counter of this.#all(EPOCHS)) {
      const name = counter.key.slice(EPOCHS.length);
      if (owned.has(name)) continue;
      const waited = this.#idle.get(name) === counter.modRevision;
      if (waited && (await this.#drop(name, counter))) dropped++;
      else idle.set(name, counter.modRevision);
    }
    this.#idle = idle;
    return dropped;
  }

  /** False when somebody took the name, or raised the floor, meanwhile. */
  async #drop(name: string, counter: KvEntry): Promise<boolean> {
    const floor = await this.#kv.get(FLOOR);
    const epoch = readEpoch(counter);
    const { applied } = await this.#kv.transact({
      compare: [
        { key: OWNERS + name, modRevision: 0 },
        { key: counter.key, modRevision: counter.modRevision },
        { key: FLOOR, modRevision: floor?.modRevision ?? 0 },
      ],
      then: [
        ...(epoch > readEpoch(floor) ? [putEpoch(FLOOR, epoch)] : []),
        { type: 'delete', key: counter.key },
        { type: 'delete', key: `holders/${name}` },
      ],
    });
    return applied;
  }

  async *#all(prefix: string): AsyncGenerator<KvEntry> {
    let after: string | undefined;
    do {
      const page = await this.#kv.range(prefix, after === undefined ? {} : { after });
      yield* page.entries;
      after = page.next;
    } while (after !== undefined);
  }
}

export const readEpoch = (counter: KvEntry | undefined): number =>
  counter === undefined ? 0 : decodeNumber(counter.value);

function putEpoch(key: string, epoch: number): KvOperation {
  return { type: 'put', key, value: encodeText(String(epoch)) };
}
