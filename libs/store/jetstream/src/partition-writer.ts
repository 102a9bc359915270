import type { Msg, MsgHdrs } from '@nats-io/nats-core';
import { MeshError, tooLarge, unavailable } from '@eventmesh/errors';
import type { DuplicateWindow } from '@eventmesh/store-api';
import {
  outOfSequence,
  type AppendBatch,
  type AppendReceipt,
  type DurabilityClass,
  type LogSpec,
} from '@eventmesh/store-api';
import { API_ERROR, fromJetStream, type Connection } from './connection.ts';
import { encodeMessage, producerLine, type EncodedMessage } from './message.ts';
import type { StateBucket } from './state.ts';
import { readTail } from './tail.ts';

/** Messages of one atomic batch; the server takes at most 1,000. */
const GROUP_MESSAGES = 500;
const GROUP_MESSAGES_MAX = 1000;
const GROUP_BYTES = 4 * 1024 * 1024;
/**
 * A second batch is sent before the first is answered only when it is this big: small ones gain
 * more by waiting, since a sync costs the same for any size.
 */
const SECOND_GROUP_MESSAGES = 250;
const GROUPS_IN_FLIGHT_MAX = 2;
/** Batch headers that are added to a message. */
const BATCH_HEADER_BYTES = 256;
const SNAPSHOT_MS = 5000;

interface Work {
  readonly batch: AppendBatch;
  readonly messages: readonly EncodedMessage[];
  readonly bytes: number;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: MeshError) => void;
}

interface Applied {
  readonly work: Work;
  readonly positions: number[];
  readonly duplicates: number[];
}

interface Loaded {
  /** Position of the last record sent. */
  last: number;
  readonly window: DuplicateWindow;
  /** Sequences sent, and those that are known to be stored. */
  readonly producers: Map<string, number>;
  readonly stored: Map<string, number>;
}

/**
 * The one writer of a partition: group commit by atomic batch, each fenced by the expected last
 * sequence on its first message, so that another writer makes ours fail and never mixes with it.
 * After any failure the state is read back from the stream's tail before anything more is sent.
 */
export class PartitionWriter {
  spec: LogSpec;
  readonly #connection: Connection;
  readonly #state: StateBucket;
  readonly #stream: string;
  readonly #base: string;
  readonly #partition: number;
  readonly #durability: () => DurabilityClass;
  #queue: Work[] = [];
  #queuedMessages = 0;
  #inFlight = 0;
  #loaded: Loaded | undefined;
  #loading = false;
  #idle: (() => void)[] = [];
  #acked = 0;
  #snapshotDue = false;
  #snapshotMs = 0;
  #batches = 0;
  readonly #batchPrefix = crypto.randomUUID().slice(0, 13);

  constructor(options: {
    readonly connection: Connection;
    readonly state: StateBucket;
    readonly stream: string;
    readonly base: string;
    readonly partition: number;
    readonly spec: LogSpec;
    readonly durability: () => DurabilityClass;
  }) {
    this.spec = options.spec;
    this.#connection = options.connection;
    this.#state = options.state;
    this.#stream = options.stream;
    this.#base = options.base;
    this.#partition = options.partition;
    this.#durability = options.durability;
  }

  append(batch: AppendBatch): Promise<AppendReceipt> {
    this.#connection.checkUp();
    const messages = batch.records.map(({ bytes, dedupKey }) =>
      encodeMessage(bytes, dedupKey ?? ''),
    );
    let size = 0;
    for (const [index, message] of messages.entries()) size += this.#checkSize(message, index);
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, messages, bytes: size, resolve, reject });
      this.#queuedMessages += messages.length;
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
    return loaded.stored.get(producer) ?? 0;
  }

  /** Stores the producers' sequences apart from the records, which may be about to go. */
  async saveProducers(): Promise<void> {
    await this.settled();
    const loaded = this.#loaded ?? (await this.#load());
    if (loaded.stored.size > 0) await this.#snapshot(loaded);
  }

  /** Resolves when nothing is queued or in flight. */
  settled(): Promise<void> {
    if (this.#queue.length === 0 && this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  get loaded(): boolean {
    return this.#loaded !== undefined;
  }

  #checkSize(message: EncodedMessage, index: number): number {
    const size = message.headers.length + message.payload.length + BATCH_HEADER_BYTES;
    const limit = this.#connection.nc.info?.max_payload ?? 1024 * 1024;
    if (size > limit) {
      throw tooLarge(
        `records[${index}]`,
        `needs ${size} bytes as a NATS message; the server's max_payload is ${limit}`,
        `${limit} bytes`,
      );
    }
    return size;
  }

  #pump(): void {
    if (this.#loading) return;
    if (this.#loaded === undefined) {
      // What is still in flight may yet be stored: the tail is read when it is not moving.
      if (this.#inFlight === 0 && this.#queue.length > 0) void this.#loadThenPump();
      else this.#tellIdle();
      return;
    }
    while (
      this.#queue.length > 0 &&
      (this.#inFlight === 0 ||
        (this.#inFlight < GROUPS_IN_FLIGHT_MAX && this.#queuedMessages >= SECOND_GROUP_MESSAGES))
    ) {
      void this.#commit(this.#takeGroup(), this.#loaded);
    }
    this.#tellIdle();
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
      await this.#load();
    } catch (error) {
      const failure = fromJetStream(error);
      this.#queuedMessages = 0;
      for (const work of this.#queue.splice(0)) work.reject(failure);
    }
    this.#loading = false;
    this.#pump();
  }

  async #load(): Promise<Loaded> {
    const snapshot = await this.#state.producers(this.spec.name, this.#partition);
    const tail = await readTail(this.#connection, this.#stream, {
      duplicateWindow: this.spec.duplicateWindow,
      producersAfter: snapshot.upTo,
    });
    const stored = new Map(Object.entries(snapshot.sequences));
    for (const [id, last] of tail.producers) stored.set(id, Math.max(last, stored.get(id) ?? 0));
    this.#acked = tail.last;
    this.#loaded = { last: tail.last, window: tail.window, producers: new Map(stored), stored };
    return this.#loaded;
  }

  #takeGroup(): Work[] {
    let count = 0;
    let messages = 0;
    let bytes = 0;
    for (const work of this.#queue) {
      const more = work.messages.length;
      if (count > 0 && (messages >= GROUP_MESSAGES || messages + more > GROUP_MESSAGES_MAX)) break;
      if (count > 0 && bytes >= GROUP_BYTES) break;
      count++;
      messages += more;
      bytes += work.bytes;
    }
    const group = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queuedMessages -= messages;
    return group;
  }

  /** Sends a group and settles its works by the answer. Never rejects. */
  async #commit(group: readonly Work[], loaded: Loaded): Promise<void> {
    this.#inFlight++;
    const applied: Applied[] = [];
    const sending: { message: EncodedMessage; line: string }[] = [];
    const before = loaded.last;
    for (const work of group) {
      try {
        applied.push(apply(work, loaded, sending));
      } catch (error) {
        work.reject(MeshError.from(error));
      }
    }
    try {
      if (sending.length > 0) await this.#send(sending, before, loaded.last);
      this.#acked = Math.max(this.#acked, loaded.last - (loaded.last - before - sending.length));
      for (const { work } of applied) {
        const { producer } = work.batch;
        if (producer === undefined) continue;
        loaded.stored.set(
          producer.id,
          Math.max(producer.last, loaded.stored.get(producer.id) ?? 0),
        );
        this.#snapshotDue = true;
      }
      // No record carries the sequence when all were duplicates.
      if (sending.length === 0 && this.#snapshotDue) await this.#snapshot(loaded);
      const durability = this.#durability();
      for (const { work, positions, duplicates } of applied) {
        work.resolve({ positions, duplicates, durability });
      }
    } catch (error) {
      const failure = fromJetStream(error);
      if (this.#loaded === loaded) this.#loaded = undefined;
      for (const { work } of applied) work.reject(failure);
    }
    this.#inFlight--;
    if (
      this.#snapshotDue &&
      Date.now() - this.#snapshotMs > SNAPSHOT_MS &&
      this.#loaded === loaded
    ) {
      // A failed snapshot is made up for by the tail; the next one comes in some seconds.
      this.#snapshot(loaded).catch(() => undefined);
    }
    this.#pump();
  }

  async #send(
    sending: readonly { message: EncodedMessage; line: string }[],
    before: number,
    last: number,
  ): Promise<void> {
    const { reply, answer } = this.#connection.expectReply();
    const { nc } = this.#connection;
    const batch =
      sending.length === 1 ? '' : `Nats-Batch-Id: ${this.#batchPrefix}-${++this.#batches}\r\n`;
    for (const [index, { message, line }] of sending.entries()) {
      let text = `NATS/1.0\r\n${message.headers}${line}`;
      if (batch !== '') text += `${batch}Nats-Batch-Sequence: ${index + 1}\r\n`;
      if (index === 0) text += `Nats-Expected-Last-Sequence: ${before}\r\n`;
      const isLast = index === sending.length - 1;
      if (batch !== '' && isLast) text += 'Nats-Batch-Commit: 1\r\n';
      // All header text is ASCII. The client only asks headers to encode themselves.
      const encoded = Buffer.from(`${text}\r\n`, 'latin1');
      const headers = { encode: () => encoded } as unknown as MsgHdrs;
      const options = isLast ? { headers, reply } : { headers };
      nc.publish(`${this.#base}.${message.subject}`, message.payload, options);
    }
    checkAck(await answer, last);
  }

  async #snapshot(loaded: Loaded): Promise<void> {
    this.#snapshotDue = false;
    this.#snapshotMs = Date.now();
    const sequences = Object.fromEntries(loaded.stored);
    await this.#state.saveProducers(this.spec.name, this.#partition, {
      upTo: this.#acked,
      sequences,
    });
  }
}

/** Works out what of a batch is to be sent. Throws before anything has changed. */
function apply(
  work: Work,
  loaded: Loaded,
  sending: { message: EncodedMessage; line: string }[],
): Applied {
  const { records, producer } = work.batch;
  const positions = new Array<number>(records.length);
  const duplicates: number[] = [];
  const { window } = loaded;
  if (producer !== undefined) {
    const known = loaded.producers.get(producer.id) ?? 0;
    if (producer.last <= known) {
      for (const [index, { dedupKey = '' }] of records.entries()) {
        positions[index] = window.find(dedupKey) ?? 0;
        duplicates.push(index);
      }
      return { work, positions, duplicates };
    }
    if (producer.previous !== known) throw outOfSequence(producer, known);
    loaded.producers.set(producer.id, producer.last);
  }
  const first = sending.length;
  for (const [index, { dedupKey = '' }] of records.entries()) {
    const found = dedupKey === '' ? undefined : window.find(dedupKey);
    if (found !== undefined) {
      positions[index] = found;
      duplicates.push(index);
      continue;
    }
    const position = ++loaded.last;
    if (dedupKey !== '') window.add(dedupKey, position);
    positions[index] = position;
    sending.push({ message: work.messages[index] as EncodedMessage, line: '' });
  }
  const carrier = sending.length > first ? sending.at(-1) : undefined;
  if (producer !== undefined && carrier !== undefined) carrier.line = producerLine(producer);
  return { work, positions, duplicates };
}

interface Ack {
  readonly seq?: number;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

function checkAck(message: Msg, last: number): void {
  const { seq, error } = message.json<Ack>();
  if (error !== undefined) {
    const { err_code: code = 0, description = '' } = error;
    if (code === API_ERROR.wrongLastSequence || code === API_ERROR.wrongLastSequenceConstant) {
      throw new MeshError(
        'Aborted',
        'another writer has appended to this partition; nothing was stored, try again',
        { reason: 'WRITER_CONFLICT' },
        error,
      );
    }
    throw fromJetStream(Object.assign(new Error(description), { code }));
  }
  if (seq !== last) {
    throw unavailable(`JetStream answered position ${seq} where ${last} was due`);
  }
}
