import type { Delivery, DeliverySink, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { Backoff } from '@eventmesh/time';
import { isMoved, type Hold, type TakeHold } from './hold.ts';

/**
 * How much longer than the lease of an owner that died a consumer waits for its first hold, and for
 * another one when it had one, in ms.
 */
const FIRST_MS = 5000;
const AGAIN_MS = 25_000;
/** First and longest pause between two attempts, in ms; each is jittered. */
const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1000;

export interface RoamingOptions {
  /** Name of the subscription, for errors. */
  readonly subscription: string;
  readonly sink: DeliverySink;
  /** Here, or where the owner is: asked anew for each attempt. */
  readonly take: TakeHold;
  /** How long the lease of an owner that died may run, in ms. */
  readonly leaseMs: number;
  /** Resolves after the pause, or sooner when the emeshers of the site have changed. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * A consumer's hold that survives its owner. When the subscription moves to another emesher the
 * consumer's stream stays: the credit that is left goes along, what it has unsettled becomes stale
 * (its settles are refused) and is delivered again. Ends only when nobody takes it in time.
 */
export class Roaming {
  readonly #options: RoamingOptions;
  readonly #closed = new AbortController();
  #hold: Hold | undefined;
  /** Counts holds; a late call of a former one is nobody's. */
  #generation = 0;
  /** Credit that the consumer gave and that is not used up. */
  #events = 0;
  #bytes = 0;
  #bytesBounded = false;
  /** The hold has not been told of the credit yet. */
  #fresh = true;

  private constructor(options: RoamingOptions) {
    this.#options = options;
  }

  /** @throws MeshError why there is no hold. */
  static async open(options: RoamingOptions): Promise<Roaming> {
    const roaming = new Roaming(options);
    try {
      await roaming.#take(options.leaseMs + FIRST_MS, isMoved);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      throw error.reason === 'FENCED' ? roaming.#final(error) : error;
    }
    return roaming;
  }

  credit(events: number, bytes: number): void {
    this.#events += events;
    this.#bytes += bytes;
    if (bytes > 0) this.#bytesBounded = true;
    if (this.#fresh) this.#grant();
    else this.#hold?.credit(events, bytes);
  }

  /** Resolves also when the hold is over: the next one has no credit then. */
  async drain(): Promise<void> {
    const drained = this.#hold?.drain();
    this.#withdraw();
    await drained;
    this.#withdraw();
  }

  #withdraw(): void {
    this.#events = 0;
    this.#bytes = 0;
    this.#bytesBounded = false;
  }

  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): Settled {
    return this.#hold?.settle(ids, outcome, cumulative) ?? { refused: ids, count: 0 };
  }

  async detach(): Promise<void> {
    this.#closed.abort();
    this.#generation++;
    await this.#hold?.detach();
  }

  /** Takes a hold; what `again` says yes to is tried for so long. */
  async #take(timeoutMs: number, again: (error: MeshError) => boolean): Promise<void> {
    const { signal } = this.#closed;
    const end = performance.now() + timeoutMs;
    const backoff = new Backoff({ baseMs: PAUSE_MS, maxMs: PAUSE_MS_MAX });
    while (!signal.aborted) {
      try {
        await this.#takeOnce();
        return;
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (!again(error) || performance.now() >= end) throw error;
        await this.#options.pause(backoff.nextMs(), signal);
      }
    }
  }

  async #takeOnce(): Promise<void> {
    const generation = ++this.#generation;
    let over: MeshError | undefined;
    const current = () => this.#generation === generation && !this.#closed.signal.aborted;
    const { sink } = this.#options;
    const hold = await this.#options.take({
      deliver: (deliveries) => current() && this.#deliver(deliveries),
      gap: (gap) => current() && sink.gap(gap),
      refused: (ids) => current() && sink.refused(ids),
      ended: (reason) => {
        if (!current()) return;
        if (this.#hold === undefined) over = reason ?? new MeshError('Cancelled', 'it ended');
        else this.#ended(reason);
      },
    });
    if (!current() || over !== undefined) {
      await hold.detach();
      if (over !== undefined) throw over;
      return;
    }
    this.#hold = hold;
    this.#fresh = true;
    this.#grant();
  }

  /** The hold is told all that is left at once; no bytes left must not read as any number of them. */
  #grant(): void {
    if (this.#hold === undefined || this.#events <= 0) return;
    if (this.#bytesBounded && this.#bytes <= 0) return;
    this.#fresh = false;
    this.#hold.credit(this.#events, this.#bytesBounded ? this.#bytes : 0);
  }

  #deliver(deliveries: readonly Delivery[]): void {
    if (this.#bytesBounded) for (const { event } of deliveries) this.#bytes -= event.length;
    this.#events -= deliveries.length;
    this.#options.sink.deliver(deliveries);
  }

  #ended(reason: MeshError | undefined): void {
    const hold = this.#hold;
    this.#hold = undefined;
    this.#generation++;
    void hold?.detach();
    if (!isMoved(reason)) {
      this.#closed.abort();
      this.#options.sink.ended(reason);
      return;
    }
    // The registry or the new owner may be away for a moment, too: a consumer that was served waits.
    const again = (error: MeshError) => isMoved(error) || error.code === 'Unavailable';
    this.#take(this.#options.leaseMs + AGAIN_MS, again).catch((thrown: unknown) => {
      if (this.#closed.signal.aborted) return;
      this.#closed.abort();
      this.#options.sink.ended(this.#final(MeshError.from(thrown)));
    });
  }

  #final(error: MeshError): MeshError {
    if (!isMoved(error) && error.code !== 'Unavailable') return error;
    // Such as a certificate of the owner that this emesher does not trust.
    const why = error.cause instanceof MeshError ? ` (${error.cause.message})` : '';
    return new MeshError(
      'Unavailable',
      `no emesher of this site serves "${this.#options.subscription}" now${why}; try again`,
      { reason: 'NO_OWNER', retryAfterMs: 1000 },
      error,
    );
  }
}
