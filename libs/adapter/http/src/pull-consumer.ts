import type { Attachment, Delivery, DeliverySink, Gap, Principal } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';

/** What a pull answers. */
export interface Pulled {
  readonly deliveries: readonly Delivery[];
  readonly gaps: readonly object[];
  /** Deliveries whose settle turned out late to be of no use: they come again. */
  readonly refused: readonly number[];
}

/** How much one pull takes. */
export interface PullSize {
  /** Deliveries, at least 1. */
  readonly max: number;
  /** Bytes of events; the first delivery comes however large it is. */
  readonly maxBytes: number;
}

export interface PullLimits {
  /** Bytes of deliveries that wait for a pull. */
  readonly bytesMax: number;
  /** Ids of refused settles that wait for a pull, and gaps that do. */
  readonly messagesMax: number;
}

/**
 * A consumer that lives between pull requests. What was delivered waits here, bounded by the credit
 * that pulls gave; what was handed out waits for a settle call or its acknowledgement timeout.
 */
export class PullConsumer implements DeliverySink {
  readonly principal: Principal;
  readonly #limits: PullLimits;
  #attachment: Attachment | undefined;
  #queue: Delivery[] = [];
  /** Given and not yet used. */
  #creditEvents = 0;
  #creditBytes = 0;
  #gaps: Gap[] = [];
  #refused: number[] = [];
  #ended: MeshError | undefined;
  #wake: (() => void)[] = [];
  #attaching: Promise<Attachment> | undefined;
  readonly #gone: () => void;
  lastUsedMs = Date.now();

  /** @param gone Called once, when the consumer is of no use any more. */
  constructor(principal: Principal, limits: PullLimits, gone: () => void) {
    this.principal = principal;
    this.#limits = limits;
    this.#gone = gone;
  }

  /** Attaches. Once; pulls that come meanwhile wait for it and fail with it. */
  async attach(run: () => Promise<Attachment>): Promise<void> {
    this.#attaching = run();
    try {
      this.#attachment = await this.#attaching;
    } catch (error) {
      this.ended(MeshError.from(error));
      throw error;
    }
  }

  get attached(): boolean {
    return this.#attachment !== undefined;
  }

  get attachment(): Attachment {
    if (this.#attachment === undefined) throw new MeshError('Internal', 'not attached');
    return this.#attachment;
  }

  get waiting(): boolean {
    return this.#wake.length > 0;
  }

  /** Bytes that wait for a pull. */
  get bytes(): number {
    return this.#queue.reduce((sum, { event }) => sum + event.length, 0);
  }

  /** Refused settles and gaps that do. */
  get messages(): number {
    return Math.max(this.#refused.length, this.#gaps.length);
  }

  deliver(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.#queue.push(delivery);
      this.#creditEvents--;
      this.#creditBytes -= delivery.event.length;
    }
    this.#wakeAll();
  }

  gap(gap: Gap): void {
    if (this.#gaps.length >= this.#limits.messagesMax) {
      this.#overrun();
      return;
    }
    this.#gaps.push({ ...gap });
    this.#wakeAll();
  }

  /** Told with the next pull; of a consumer that never pulls again the newest. */
  refused(ids: readonly number[]): void {
    for (const id of ids) this.#refused.push(id);
    this.#refused.splice(0, this.#refused.length - this.#limits.messagesMax);
    this.#wakeAll();
  }

  ended(reason = new MeshError('Cancelled', 'the attachment is through')): void {
    if (this.#ended === undefined) this.#gone();
    this.#ended ??= reason;
    this.#wakeAll();
  }

  /**
   * Waits for at least one delivery and takes as many as fit; the rest waits for the next pull.
   *
   * @param signal Aborts when the client goes away; nothing is taken then.
   * @throws the reason when the mesh has ended the attachment and nothing is left.
   */
  async pull(size: PullSize, waitMs: number, signal: AbortSignal): Promise<Pulled> {
    this.lastUsedMs = Date.now();
    await this.#attaching;
    this.#giveCredit(size.max);
    if (this.#nothing) await this.#wait(waitMs, signal);
    this.lastUsedMs = Date.now();
    if (signal.aborted) return { deliveries: [], gaps: [], refused: [] };
    if (this.#queue.length === 0 && this.#ended !== undefined) throw this.#ended;
    return {
      deliveries: this.#queue.splice(0, this.#fitting(size)),
      gaps: this.#gaps.splice(0),
      refused: this.#refused.splice(0),
    };
  }

  /** How many of those that wait go into one pull. */
  #fitting({ max, maxBytes }: PullSize): number {
    let bytes = 0;
    const over = this.#queue.findIndex(({ event }) => (bytes += event.length) > maxBytes);
    return Math.min(max, over === -1 ? this.#queue.length : Math.max(1, over));
  }

  get #nothing(): boolean {
    const told = this.#gaps.length + this.#refused.length;
    return this.#queue.length + told === 0 && this.#ended === undefined;
  }

  #giveCredit(max: number): void {
    const events = max - this.#queue.length - this.#creditEvents;
    const bytes = this.#limits.bytesMax - this.bytes - this.#creditBytes;
    // A credit of no bytes would mean any number of them.
    if (events <= 0 || bytes <= 0 || this.#ended !== undefined) return;
    this.#creditEvents += events;
    this.#creditBytes += bytes;
    this.attachment.credit(events, bytes);
  }

  /** No gap is left out in silence: the consumer goes, and the next pull makes another one. */
  #overrun(): void {
    const { messagesMax } = this.#limits;
    this.ended(
      new MeshError('ResourceExhausted', 'too many gaps wait for a pull; pull again, more often', {
        limit: `${messagesMax} gaps`,
        reason: 'CONSUMER_STALLED',
      }),
    );
    void this.#attachment?.detach();
  }

  async #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    if (waitMs === 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake.push(resolve);
    const timer = setTimeout(resolve, waitMs);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
    this.#wake = this.#wake.filter((other) => other !== resolve);
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Answers who waits with what there is, and releases everything. */
  async close(): Promise<void> {
    this.ended(new MeshError('Unavailable', 'the consumer was detached; pull again'));
    await this.#attachment?.detach();
  }
}
