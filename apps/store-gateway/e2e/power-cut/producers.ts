import { MeshError } from '@eventmesh/errors';
import type { DurabilityClass, EventStore } from '@eventmesh/store-api';
import { LOG, record } from '../load.ts';

const BATCH = 4;

interface Sent {
  readonly ids: readonly string[];
  readonly sequences: readonly number[];
}

/** What was told to the producers, over all cuts. */
export interface Acked {
  /** Id of each acknowledged record to its position. */
  readonly records: Map<string, number>;
  /** Floor of the last acknowledged cursor commit. */
  floor: number;
  /** Classes that receipts named. */
  readonly classes: Set<DurabilityClass>;
  readonly failures: MeshError[];
}

/**
 * Producers that live through power cuts: what was not acknowledged is sent again, first thing, to
 * the store that comes back. Half of them number their records as sessions, the others rely on keys.
 */
export class Producers {
  readonly acked: Acked = { records: new Map(), floor: 0, classes: new Set(), failures: [] };
  readonly #lanes: number;
  readonly #pending = new Map<number, Sent>();
  #sent = 0;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  start(store: EventStore): void {
    this.#stopped = false;
    const lanes = Array.from({ length: this.#lanes }, (_each, lane) => this.#produce(store, lane));
    this.#running = Promise.all([...lanes, this.#commit(store)]);
  }

  /** Ends when all lanes have given up or finished what they had in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #produce(store: EventStore, lane: number): Promise<void> {
    while (!this.#stopped) {
      const sent = this.#pending.get(lane) ?? this.#next(lane);
      this.#pending.set(lane, sent);
      const { ids, sequences } = sent;
      try {
        const receipt = await store.append({
          log: LOG,
          partition: 0,
          records: ids.map((id) => ({ bytes: record(id), dedupKey: id })),
          ...(lane % 2 === 0 ? {} : { session: { id: `lane-${lane}`, epoch: 1, sequences } }),
        });
        for (const [i, id] of ids.entries()) {
          this.acked.records.set(id, receipt.positions[i] ?? 0);
        }
        this.acked.classes.add(receipt.durability);
        this.#pending.delete(lane);
      } catch (error) {
        this.acked.failures.push(MeshError.from(error));
        await pause();
      }
    }
  }

  #next(lane: number): Sent {
    const numbers = Array.from({ length: BATCH }, () => ++this.#sent);
    return { ids: numbers.map((n) => `${lane}-${n}-0`), sequences: numbers };
  }

  /** Commits how far the acknowledged records go, as a consumer would. */
  async #commit(store: EventStore): Promise<void> {
    const id = { log: LOG, partition: 0, subscription: 'consumer' };
    while (!this.#stopped) {
      const last = Math.max(0, ...[...this.acked.records.values()].slice(-100));
      const floor = Math.max(this.acked.floor, last + 1);
      const cursor = { floor, settled: [], epoch: 1, state: new Uint8Array(0) };
      try {
        await store.commitCursors([{ id, cursor }]);
        this.acked.floor = floor;
      } catch (error) {
        this.acked.failures.push(MeshError.from(error));
        await pause();
      }
    }
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
