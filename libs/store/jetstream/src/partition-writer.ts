import { MeshError, tooLarge } from '@eventmesh/errors';
import type {
  AppendBatch,
  AppendReceipt,
  AppendRecord,
  DurabilityClass,
  LogSpec,
} from '@eventmesh/store-api';
import { checkAck } from './ack.ts';
import { Again } from './again.ts';
import { fromJetStream } from './api-error.ts';
import type { Connection } from './connection.ts';
import { encodeGroup, messageBytes } from './encode-group.ts';
import {
  applyWork,
  groupSize,
  type Applied,
  type Outgoing,
  type Work,
  type WriterState,
} from './group.ts';
import { KeptState, type KeptStateParts } from './kept-state.ts';
import type { Marks, Place } from './marks.ts';
import { MESSAGE_GROWTH_MAX } from './message-encoder.ts';
import type { Pending } from './pending.ts';

/**
 * A second batch is sent before the first is answered only when it is this big: small ones gain
 * more by waiting, since a sync costs the same for any size.
 */
const SECOND_GROUP_MESSAGES = 250;
/** Header lines of an atomic batch, and its mark, that are added to a message. */
const BATCH_HEADER_BYTES = 256;

/** What one partition may have under way at the server. */
export interface InFlightLimits {
  readonly groupsInFlightMax: number;
  /**
   * So few appends of one message each are sent one by one, each behind the one before without waiting
   * for it: the server takes 3 ms for the smallest atomic batch and 0.25 ms for a single message.
   */
  readonly singlesInFlightMax: number;
}

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
  readonly #limits: InFlightLimits;
  readonly #pending: Pending;
  #queue: Work[] = [];
  #queuedMessages = 0;
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
    this.#limits = options.limits;
    this.#pending = options.pending;
  }

  append(batch: AppendBatch): Promise<AppendReceipt> {
    this.#connection.checkUp();
    let size = 0;
    for (const [index, record] of batch.records.entries()) size += this.#checkSize(record, index);
    this.#pending.take(size);
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, bytes: size, resolve, reject });
      this.#queuedMessages += batch.records.length;
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
    if (this.#queue.length === 0 && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Commits under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get loaded(): boolean {
    return this.#loaded !== undefined;
  }

  /** Bytes that wait with a record. @throws MeshError PayloadTooLarge when the server would not take it. */
  #checkSize(record: AppendRecord, index: number): number {
    const { bytes, dedupKey = '' } = record;
    const limit = this.#connection.nc.info?.max_payload ?? 1024 * 1024;
    const { times, bytes: more } = MESSAGE_GROWTH_MAX;
    const bytesMax = times * (bytes.length + 3 * dedupKey.length) + more;
    if (bytesMax + BATCH_HEADER_BYTES > limit) {
      const size = messageBytes(record) + BATCH_HEADER_BYTES;
      if (size > limit) {
        throw tooLarge(
          `records[${index}]`,
          `needs ${size} bytes as a NATS message; the server's max_payload is ${limit}`,
          `${limit} bytes`,
        );
      }
    }
    return bytes.length + dedupKey.length + BATCH_HEADER_BYTES;
  }

  #pump(): void {
    if (this.#loading) return;
    if (this.#loaded === undefined) {
      // What is still in flight may yet be stored: the tail is read when it is not moving.
      if (this.#inFlight === 0) this.#putBack(this.#again.take());
      if (this.#inFlight === 0 && this.#queue.length > 0) void this.#loadThenPump();
      else this.#tellIdle();
      return;
    }
    for (;;) {
      const group = this.#nextGroup();
      if (group === undefined || this.#loaded === undefined) break;
      void this.#commit(group, this.#loaded);
    }
    this.#tellIdle();
  }

  /** What may be sent now; undefined when there is nothing, or it has to wait. */
  #nextGroup(): Work[] | undefined {
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    const idle = this.#inFlight === 0;
    const { groupsInFlightMax, singlesInFlightMax } = this.#limits;
    if (first.batch.records.length === 1 && this.#queuedMessages <= singlesInFlightMax) {
      const behindSingles = this.#inFlight === this.#singles && this.#singles < singlesInFlightMax;
      return behindSingles ? this.#take(1, 1) : undefined;
    }
    const big = this.#queuedMessages >= SECOND_GROUP_MESSAGES;
    if (!idle && (!big || this.#inFlight >= groupsInFlightMax)) return undefined;
    const { count, messages } = groupSize(this.#queue);
    return this.#take(count, messages);
  }

  /** Before everything that came later. */
  #putBack(works: readonly Work[]): void {
    if (works.length === 0) return;
    this.#queue = [...works, ...this.#queue];
    for (const { batch } of works) this.#queuedMessages += batch.records.length;
  }

  #tellIdle(): void {
    if (this.#queue.length > 0 || this.#inFlight > 0) return;
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
      this.#queuedMessages = 0;
      for (const work of this.#queue.splice(0)) this.#refuse(work, failure);
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

  #take(count: number, messages: number): Work[] {
    const group = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queuedMessages -= messages;
    return group;
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
