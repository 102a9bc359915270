import type { Attachment, Delivery, DeliverySink, Gap, Principal } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { PullTurn, type PullSize } from './pull-turn.ts';

/** What a pull answers. */
export interface Pulled {
  readonly deliveries: readonly Delivery[];
  readonly gaps: readonly object[];
  /** Deliveries whose settle turned out late to be of no use: they come again. */
  readonly refused: readonly number[];
}

/** Gaps, and ids of refused settles, that may wait for a pull. */
export interface PullLimits {
  readonly messagesMax: number;
}

/**
 * A consumer that lives between pull requests, to keep what was handed out until it is settled. It
 * has credit only while a pull waits, for what that one takes: no event waits here for a pull, with
 * its time to acknowledge running. Pulls at a time take turns.
 */
export class PullConsumer implements DeliverySink {
  readonly principal: Principal;
  readonly #limits: PullLimits;
  #attachment: Attachment | undefined;
  /** The first one has its turn. */
  #line: PullTurn[] = [];
  /** The one whose turn it is was told that nothing is there, and waits for what comes. */
  #dry = false;
  #gaps: Gap[] = [];
  #refused: number[] = [];
  #ended: MeshError | undefined;
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
    return this.#line.length > 0;
  }

  /** Bytes of the answer that is being put together. */
  get bytes(): number {
    return this.#line[0]?.bytes ?? 0;
  }

  /** Refused settles and gaps that wait for a pull. */
  get messages(): number {
    return Math.max(this.#refused.length, this.#gaps.length);
  }

  deliver(deliveries: readonly Delivery[]): void {
    const [turn] = this.#line;
    if (turn === undefined) this.#giveBack(deliveries);
    // What is direct was done with when it was handed over: it cannot go back, and is not lost.
    else turn.take(deliveries, this.attachment.subscription.deliveryClass === 'durable');
  }

  gap(gap: Gap): void {
    if (this.#gaps.length >= this.#limits.messagesMax) {
      this.#overrun();
      return;
    }
    this.#gaps.push({ ...gap });
    this.#line[0]?.wake();
  }

  /** Told with the next pull; of a consumer that never pulls again the newest. */
  refused(ids: readonly number[]): void {
    for (const id of ids) this.#refused.push(id);
    this.#refused.splice(0, this.#refused.length - this.#limits.messagesMax);
    this.#line[0]?.wake();
  }

  ended(reason = new MeshError('Cancelled', 'the attachment is through')): void {
    if (this.#ended === undefined) this.#gone();
    this.#ended ??= reason;
    for (const turn of this.#line) turn.wake();
  }

  /**
   * Answers what is there, as much as fits; waits for it when nothing is.
   *
   * @param signal Aborts when the client goes away; what came for it goes back then.
   * @throws the reason when the mesh has ended the attachment: what it had is released.
   */
  async pull(size: PullSize, waitMs: number, signal: AbortSignal): Promise<Pulled> {
    this.lastUsedMs = Date.now();
    const turn = new PullTurn(size, waitMs, signal);
    try {
      await this.#attaching;
      if (await this.#begin(turn)) await this.#fill(turn);
      return this.#answer(turn);
    } finally {
      this.lastUsedMs = Date.now();
      turn.end();
      this.#line = this.#line.filter((other) => other !== turn);
      this.#line[0]?.wake();
    }
  }

  /** Whether it has its turn; not when it is over and the one before it waits in vain. */
  async #begin(turn: PullTurn): Promise<boolean> {
    this.#line.push(turn);
    while (this.#line[0] !== turn) {
      if (turn.isGone || (turn.isOver && this.#dry)) return false;
      await turn.change();
    }
    return true;
  }

  async #fill(turn: PullTurn): Promise<void> {
    const { max, maxBytes } = turn.size;
    const { attachment } = this;
    if (this.#ended !== undefined || turn.isGone) return;
    attachment.credit(max, maxBytes);
    await attachment.drain();
    if (turn.isOver || !this.#hasNothing(turn)) return;
    this.#dry = true;
    for (const behind of this.#line) behind.wake();
    attachment.credit(max, maxBytes);
    while (!turn.isOver && this.#hasNothing(turn)) await turn.change();
    this.#dry = false;
    await attachment.drain();
  }

  #answer(turn: PullTurn): Pulled {
    if (this.#ended !== undefined) throw this.#ended;
    if (turn.isGone) {
      this.#giveBack([...turn.deliveries, ...turn.surplus]);
      return { deliveries: [], gaps: [], refused: [] };
    }
    this.#giveBack(turn.surplus);
    const { deliveries } = turn;
    return { deliveries, gaps: this.#gaps.splice(0), refused: this.#refused.splice(0) };
  }

  #hasNothing({ deliveries }: PullTurn): boolean {
    const told = this.#gaps.length + this.#refused.length;
    return deliveries.length + told === 0 && this.#ended === undefined;
  }

  /** Nobody was given them, so nothing of them has failed. */
  #giveBack(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    const ids = deliveries.map(({ id }) => id);
    this.#attachment?.settle(ids, { kind: 'return' });
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

  /** Tells who waits, and releases everything. */
  async close(): Promise<void> {
    this.ended(new MeshError('Unavailable', 'the consumer was detached; pull again'));
    await this.#attachment?.detach();
  }
}
