import type { SessionState } from '@eventmesh/store-api';
import type { Connection } from './connection.ts';
import type { WriterState } from './group.ts';
import type { Marks, Place } from './marks.ts';
import { ProducerBook, type ProducerMark } from './producer-book.ts';
import type { StateBucket } from './state.ts';
import { readTail } from './tail.ts';

const SNAPSHOT_MS = 5000;

export interface KeptStateParts {
  readonly connection: Connection;
  readonly state: StateBucket;
  readonly marks: Marks;
  readonly place: Place;
}

/**
 * What the writer of a partition has to know, as it is kept: the records at the stream's tail, and from
 * time to time a snapshot of the producers' numbers beside them.
 */
export class KeptState {
  readonly #parts: KeptStateParts;
  #savedMs = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: KeptStateParts) {
    this.#parts = parts;
  }

  /** @throws MeshError DataLoss when records are gone that were acknowledged. */
  async read(duplicateWindow: number): Promise<WriterState> {
    const { connection, state, marks, place } = this.#parts;
    const { upTo, sequences, sessions } = await state.producers(place.log, place.partition);
    await marks.check(place);
    const tail = await readTail(connection, place, { duplicateWindow, producersAfter: upTo });
    for (const mark of tail.marks) overlay(mark, sequences, sessions);
    const producers = new ProducerBook(tail.last, sequences, [...sessions]);
    return { last: tail.last, window: tail.window, producers };
  }

  /** Puts down what is stored, one snapshot after the other. */
  save(producers: ProducerBook): Promise<void> {
    const save = async () => {
      if (!producers.due) return;
      this.#savedMs = Date.now();
      const { snapshot, changed } = producers.takeSnapshot();
      try {
        const { state, place } = this.#parts;
        await state.saveProducers(place.log, place.partition, snapshot, changed);
      } catch (error) {
        producers.snapshotFailed(changed);
        throw error;
      }
    };
    // What became of the one before is told to whoever asked for it.
    this.#saving = this.#saving.then(save, save);
    return this.#saving;
  }

  /** As `save`, every few seconds. One that fails is made up for by the tail, and by the next one. */
  saveAtTimes(producers: ProducerBook): void {
    if (Date.now() - this.#savedMs > SNAPSHOT_MS) this.save(producers).catch(() => undefined);
  }
}

/** Puts what a record carries over what was put down before; what is as new already stays. */
function overlay(
  mark: ProducerMark,
  sequences: Map<string, number>,
  sessions: Map<string, SessionState>,
): void {
  if (mark.kind === 'sequence') {
    sequences.set(mark.id, Math.max(mark.last, sequences.get(mark.id) ?? 0));
  } else if (mark.state.at > (sessions.get(mark.id)?.at ?? 0)) {
    sessions.set(mark.id, mark.state);
  }
}
