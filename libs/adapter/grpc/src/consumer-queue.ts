import type { Attachment, Delivery, DeliverySink, SettleOutcome } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { AsyncQueue, toFailure, type PreEncoded } from '@eventmesh/rpc';
import { encodeDeliveries } from './encode-deliveries.ts';
import { GRPC_METRICS } from './metrics.ts';
import type { ConsumerLimits } from './options.ts';
import { gapToProto } from './replay-wire.ts';

type Message = PreEncoded | { readonly message: { readonly case: string; readonly value: object } };

interface Waiting {
  readonly message: Message;
  /** Of the events in it; 0 for what is no delivery. */
  readonly eventBytes: number;
  readonly delivers: boolean;
}

/** Where credit and settles of the consumer go. */
type Holder = Pick<Attachment, 'credit' | 'drain' | 'settle' | 'detach'>;

/** What a frame takes in memory beside its events. */
const FRAME_BYTES = 256;

/** A replay lane that is through: the status of gRPC's OK. */
const COMPLETE = Object.freeze({ status: 0, reason: 'COMPLETE', message: 'the replay is through' });

/**
 * What waits for one consumer to read it. A consumer may give any credit and then not read: so the
 * mesh is told only as much of its credit in bytes as there is room here, and the rest as it reads.
 * All else that it is told is little, unless it provokes it without end; then the stream is ended.
 */
export class ConsumerQueue implements DeliverySink {
  readonly #limits: ConsumerLimits;
  readonly #queue = new AsyncQueue<Waiting>();
  #holder: Holder | undefined;
  /** Bytes of deliveries here. */
  #waitingBytes = 0;
  #waitingMessages = 0;
  /** Bytes that the mesh may still deliver; below 0 by the event that used up the last of them. */
  #grantedBytes = 0;
  /** Bytes that the consumer is ready for and that were not granted yet; any number: Infinity. */
  #askedBytes = 0;
  /** It has given no credit, or none since it was taken back. */
  #fresh = true;

  constructor(limits: ConsumerLimits) {
    this.#limits = limits;
  }

  /** From now on the consumer's inputs have somewhere to go. Once. */
  open(holder: Holder, opened: object): void {
    this.#holder = holder;
    this.#say('opened', opened);
  }

  /** Everything in order; the queue is empty and closed when it is left. */
  async *messages(): AsyncGenerator<never> {
    const { metrics } = this.#limits;
    const stops = [
      metrics.measure(GRPC_METRICS.consumerBytes, () => this.#waitingBytes),
      metrics.measure(GRPC_METRICS.consumerMessages, () => this.#waitingMessages),
    ];
    try {
      for await (const waiting of this.#queue) {
        yield waiting.message as never;
        this.#read(waiting);
      }
    } finally {
      for (const stop of stops) stop();
    }
  }

  /** @param bytes 0: none, or any number of them when there never were any. */
  credit(events: number, bytes: number): void {
    if (events === 0 && bytes === 0) return;
    if (bytes > 0)
      this.#askedBytes = bytes + (this.#askedBytes === Infinity ? 0 : this.#askedBytes);
    else if (this.#fresh) this.#askedBytes = Infinity;
    this.#fresh = false;
    this.#grant(events);
  }

  /** Takes back what is left of the credit, also what was not granted yet; then says so. */
  drain(): void {
    void this.#holder?.drain().then(() => {
      this.#grantedBytes = 0;
      this.#askedBytes = 0;
      this.#fresh = true;
      this.#tell('drained', {});
    });
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): void {
    const refused = this.#holder?.settle(ids, outcome, cumulative).refused ?? ids;
    if (refused.length > 0) this.refused(refused);
  }

  deliver(deliveries: readonly Delivery[]): void {
    let eventBytes = 0;
    for (const { event } of deliveries) eventBytes += event.length;
    this.#grantedBytes -= eventBytes;
    this.#waitingBytes += eventBytes + FRAME_BYTES;
    this.#queue.push({ message: encodeDeliveries(deliveries), eventBytes, delivers: true });
  }

  gap(gap: Parameters<DeliverySink['gap']>[0]): void {
    this.#tell('gap', gapToProto(gap));
  }

  refused(ids: readonly (number | bigint)[]): void {
    this.#tell('settleRefused', {
      ids: ids.map(BigInt),
      reason: 'unknown, settled before, its lease ran out, or from an older owner',
    });
  }

  ended(reason: MeshError | undefined): void {
    this.#say('ended', { reason: reason === undefined ? COMPLETE : toFailure(reason) });
    this.#queue.end();
  }

  /** Ends the stream after what waits; with an error it fails. */
  end(error?: unknown): void {
    this.#queue.end(error);
  }

  #tell(kind: string, value: object): void {
    const { consumerMessagesMax } = this.#limits;
    if (this.#waitingMessages < consumerMessagesMax) {
      this.#say(kind, value);
      return;
    }
    this.#queue.end(
      new MeshError('ResourceExhausted', 'the consumer does not read what it is told', {
        limit: `${consumerMessagesMax} gaps and refused settles`,
        reason: 'CONSUMER_STALLED',
      }),
    );
    // Others get its events now, not when it has read all of this.
    void this.#holder?.detach();
  }

  #say(kind: string, value: object): void {
    this.#waitingMessages++;
    const message = { message: { case: kind, value } };
    this.#queue.push({ message, eventBytes: 0, delivers: false });
  }

  #read({ eventBytes, delivers }: Waiting): void {
    if (!delivers) {
      this.#waitingMessages--;
      return;
    }
    this.#waitingBytes -= eventBytes + FRAME_BYTES;
    // In large steps, so that a consumer that keeps up costs the mesh next to nothing.
    if (this.#askedBytes > 0 && this.#room * 2 >= this.#limits.consumerBytesMax) this.#grant(0);
  }

  get #room(): number {
    return this.#limits.consumerBytesMax - this.#grantedBytes - this.#waitingBytes;
  }

  #grant(events: number): void {
    const bytes = Math.max(0, Math.min(this.#room, this.#askedBytes));
    if (events === 0 && bytes === 0) return;
    this.#grantedBytes += bytes;
    this.#askedBytes -= bytes;
    this.#holder?.credit(events, bytes);
  }
}
