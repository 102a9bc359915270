import { MeshError } from '@eventmesh/errors';
import type { AppendBatch, AppendReceipt, DurabilityClass, LogSpec } from '@eventmesh/store-api';
import { checkAck } from './ack.ts';
import { Again } from './again.ts';
import { fromJetStream } from './api-error.ts';
import { AppendQueue, type InFlightLimits } from './append-queue.ts';
import type { Connection } from './connection.ts';
import { checkSize, encodeGroup } from './encode-group.ts';
import { applyWork, type Applied, type Outgoing, type Work, type WriterState } from './group.ts';
import { KeptState, type KeptStateParts } from './kept-state.ts';
import type { Marks, Place } from './marks.ts';
import type { Pending } from './pending.ts';

/** Of a server that does not tell its own. */
const MESSAGE_BYTES_MAX = 1024 * 1024;

export interface PartitionWriterOptions extends KeptStateParts {
  readonly base: string;
  readonly spec: LogSpec;
  readonly durability: () => DurabilityClass;
  readonly limits: InFlightLimits;
  readonly pending: Pending;
}

/**
 * The one writer of a partition: group commit by atomic batch, each fenced by the expected last
 * sequence on its first message, so that another writer makes ours fail and never mixes with it.
 * After any failure the state is read back from the stream's tail before anything more is sent.
 */
export class PartitionWriter {
  spec: LogSpec;
  readonly #connection: Connection;
  readonly #kept: KeptState;
  readonly #marks: Marks;
  readonly #place: Place;
  readonly #base: string;
  readonly #durability: () => DurabilityClass;
  readonly #pending: Pending;
  readonly #queue: AppendQueue;
  readonly #again: Again;
  #inFlight = 0;
  /** Of those in flight, commits of a single message. */
  #singles = 0;
  #loaded: WriterState | undefined;
  #loading = false;
  #reading: Promise<WriterState> | undefined;
  #idle: (() => void)[] = [];
  #batches = 0;
  readonly #batchPrefix = crypto.randomUUID().slice(0, 13);

  constructor(options: PartitionWriterOptions) {
    this.spec = options.spec;
    this.#connection = options.connection;
    this.#again = new Again(options.connection);
    this.#kept = new KeptState(options);
    this.#marks = options.marks;
    this.#place = options.place;
    this.#base = options.base;
    this.#durability = options.durability;
    this.#pending = options.pending;
    this.#queue = new AppendQueue(options.limits);
  }

  append(batch: AppendBatch): Promise<AppendReceipt> {
    this.#connection.checkUp();
    const messageBytesMax = this.#connection.nc.info?.max_payload ?? MESSAGE_BYTES_MAX;
    let bytes = 0;
    for (const [index, record] of batch.records.entries()) {
      bytes += checkSize(record, index, messageBytesMax);
    }
    this.#pending.take(bytes);
    return new Promise((resolve, reject) => {
      this.#queue.add({ batch, bytes, resolve, reject });
      this.#pump();
    });
  }

  /** Reads the state back before the next append; used when the spec has changed. */
  async reload(): Promise<void> {
    await this.settled();
    this.#loaded = undefined;
  }

  /** The last stored sequence of a producer. */
  async sequence(producer: string): Promise<number> {
    await this.settled();
    const loaded = this.#loaded ?? (await this.#load());
    return loaded.producers.sequence(producer);
  }

  /** Stores what is known of producers apart from the records, which may be about to go. */
  async saveProducers(): Promise<void> {
    await this.settled();
    const loaded = this.#loaded ?? (await this.#load());
    await this.#kept.save(loaded.producers);
  }

  /** Resolves when nothing is queued or in flight. */
  settled(): Promise<void> {
    if (this.#queue.size === 0 && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Commits under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get loaded(): boolean {
    return this.#loaded !== undefined;
  }

  #pump(): void {
    if (this.#loading) return;
    if (this.#loaded === undefined) {
      // What is still in flight may yet be stored: the tail is read when it is not moving.
      if (this.#inFlight === 0) this.#queue.putBack(this.#again.take());
      if (this.#inFlight === 0 && this.#queue.size > 0) void this.#loadThenPump();
      else this.#tellIdle();
      return;
    }
    for (;;) {
      const group = this.#queue.takeGroup(this.#inFlight, this.#singles);
      if (group === undefined || this.#loaded === undefined) break;
      void this.#commit(group, this.#loaded);
    }
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#queue.size > 0 || this.#inFlight > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #loadThenPump(): Promise<void> {
    this.#loading = true;
    // What is called in the same turn is sent together.
    await Promise.resolve();
    try {
      await this.#again.pause();
      await this.#load();
    } catch (error) {
      const failure = fromJetStream(error);
      this.#again.over();
      for (const work of this.#queue.takeAll()) this.#refuse(work, failure);
    }
    this.#loading = false;
    this.#pump();
  }

  /** Once for all that wait for it: one that ends later would know less than what was sent since. */
  #load(): Promise<WriterState> {
    this.#reading ??= this.#kept
      .read(this.spec.duplicateWindow)
      .then((state) => (this.#loaded = state))
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  /** Sends a group and settles its works by the answer. Never rejects. */
  async #commit(group: readonly Work[], loaded: WriterState): Promise<void> {
    const single = group.length === 1 && group[0]?.batch.records.length === 1;
    this.#inFlight++;
    if (single) this.#singles++;
    const applied: Applied[] = [];
    const sending: Outgoing[] = [];
    const before = loaded.last;
    let stored = false;
    for (const work of group) {
      try {
        applied.push(applyWork(work, loaded, sending));
      } catch (error) {
        this.#refuse(work, MeshError.from(error));
      }
    }
    try {
      if (sending.length > 0) await this.#send(sending, before, loaded.last);
      stored = true;
      this.#again.over();
      const marks = applied.flatMap(({ mark }) => mark ?? []);
      const acked = before + sending.length;
      loaded.producers.stored(acked, marks);
      this.#marks.note(this.#place, acked);
      // No record tells of an append that had duplicates only.
      if (applied.some(({ carried }) => !carried)) await this.#kept.save(loaded.producers);
      const durability = this.#durability();
      for (const { work, positions, duplicates } of applied) {
        this.#pending.give(work.bytes);
        work.resolve({ positions, duplicates, durability });
      }
    } catch (error) {
      const failure = fromJetStream(error);
      const works = applied.map(({ work }) => work);
      const kept = !stored && this.#again.keep(works, failure);
      if (kept || this.#loaded === loaded) this.#loaded = undefined;
      if (!kept) for (const work of works) this.#refuse(work, failure);
    }
    this.#inFlight--;
    if (single) this.#singles--;
    if (this.#loaded === loaded) this.#kept.saveAtTimes(loaded.producers);
    this.#pump();
  }

  #refuse({ bytes, reject }: Work, error: MeshError): void {
    this.#pending.give(bytes);
    reject(error);
  }

  async #send(sending: readonly Outgoing[], before: number, last: number): Promise<void> {
    const { reply, answer } = this.#connection.expectReply();
    const batchId = `${this.#batchPrefix}-${++this.#batches}`;
    this.#connection.write(encodeGroup({ sending, base: this.#base, batchId, before, reply }));
    checkAck(await answer, last);
  }
}
