import { MeshError, invalid } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { PublishOutcome } from '@eventmesh/proto-gen/publisher';
import type { PublisherService } from '@eventmesh/proto-gen/wire';
import { AsyncQueue, fromFailure, type Client, type PreEncoded } from '@eventmesh/rpc';
import { Backoff, pause } from '@eventmesh/time';
import { int64, uint32 } from '@eventmesh/wire';
import { encodeFrame } from './encode-frame.ts';
import {
  encode,
  toReceipt,
  type EventInput,
  type PublishOptions,
  type Receipt,
} from './event-input.ts';
import { PublishFrames, type Item } from './publish-frames.ts';

/** An event of a call to `publishMany`. */
export interface PublishEntry extends PublishOptions {
  readonly topic: string;
  readonly event: EventInput;
}

export interface PublisherOptions {
  /**
   * Numbers the events, so that each is stored once however often it is sent, and sends again what
   * is not answered when the stream breaks. They are durable, also where the catalogue makes others
   * direct: those have no numbers, and would be delivered twice.
   */
  readonly producer?: {
    /** 1 to 128 letters, digits, `-`, `_`, `.`; unique in the tenant. */
    readonly id: string;
    /**
     * Must rise with each start of this producer, 1 to 2^31 - 1: numbering begins anew with it, and
     * an older one is shut out. Keep it with the producer's own state.
     */
    readonly epoch: number;
  };
  /** With a producer: how long to try without an answer before giving up, in ms. Default 60,000. */
  readonly giveUpAfterMs?: number;
}

/** One call that waits for the outcomes of its events. */
interface Waiting {
  readonly events: number;
  readonly outcomes: (Receipt | MeshError)[];
  readonly resolve: (outcomes: (Receipt | MeshError)[]) => void;
  readonly reject: (error: MeshError) => void;
}

const PAUSE_MS_MAX = 2000;

/**
 * A publish stream. Whatever is published while the previous frame is on its way goes into the next
 * one, so an idle stream is quick and a busy one sends big frames. Without a producer a failure
 * rejects every open promise and the stream is over: whether those events were stored is unknown,
 * and publishing them again with the same ids is safe within the duplicate window. With one it goes
 * on: what is not answered is sent again under its number. An event that is refused for a reason of
 * its own is not stored and rejects its promise either way; publish it again as a new one.
 */
export class StreamPublisher {
  readonly #client: Client<typeof PublisherService>;
  readonly #options: PublisherOptions;
  readonly #events: PublishFrames;
  #frames: AsyncQueue<PreEncoded>;
  #waiting: Waiting[] = [];
  /** Calls at the head of `#waiting` that have all their outcomes. */
  #answered = 0;
  #pending = 0;
  #sequence = 0n;
  #windowEvents = 1;
  /** The first frame of a stream says who numbers its events. */
  #first = true;
  #scheduled = false;
  #closing = false;
  #wake: (() => void) | undefined;
  /** For who waits until nothing is open. */
  #idle: PromiseWithResolvers<void> | undefined;
  #failure: MeshError | undefined;
  /** When something was answered last. */
  #heardAt = performance.now();
  readonly #done: Promise<void>;

  /** @throws MeshError InvalidArgument for an epoch or a time that is none. */
  constructor(client: Client<typeof PublisherService>, options: PublisherOptions = {}) {
    checkOptions(options);
    this.#client = client;
    this.#options = options;
    this.#events = new PublishFrames(options.producer !== undefined);
    this.#frames = new AsyncQueue();
    this.#done = this.#run();
  }

  /** Resolves with the receipt; rejects with why the event was refused. */
  async publish(topic: string, event: EventInput, options: PublishOptions = {}): Promise<Receipt> {
    const [outcome] = await this.#enqueue([encode(topic, event, options)]);
    if (outcome instanceof MeshError) throw outcome;
    if (outcome === undefined) throw new MeshError('Internal', 'the answer has no outcome');
    return outcome;
  }

  /**
   * Publishes many events with one promise for all, which is cheaper. Resolves with an outcome for
   * each, in order: its receipt, or why it was refused. Rejects only when the stream fails.
   */
  async publishMany(entries: readonly PublishEntry[]): Promise<(Receipt | MeshError)[]> {
    if (entries.length === 0) return [];
    return this.#enqueue(entries.map((entry) => encode(entry.topic, entry.event, entry)));
  }

  /** Events published and not answered yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Waits for the open answers, then ends the stream. */
  async close(): Promise<void> {
    while (this.#failure === undefined && this.pending > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
    this.#closing = true;
    this.#wake?.();
    this.#frames.end();
    await this.#done;
  }

  #enqueue(items: readonly Item[]): Promise<(Receipt | MeshError)[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const numbered = this.#options.producer !== undefined;
    if (numbered && items.some(isDirect)) {
      const way = 'a producer numbers durable events; take a publisher without one';
      return Promise.reject(invalid('deliveryClass', way));
    }
    return new Promise((resolve, reject) => {
      if (this.#pending === 0) this.#heardAt = performance.now();
      for (const item of items) {
        this.#events.push(numbered ? { ...item, ...DURABLE, sequence: ++this.#sequence } : item);
      }
      this.#waiting.push({ events: items.length, outcomes: [], resolve, reject });
      this.#pending += items.length;
      this.#wake?.();
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // At the end of the turn: everything published in one turn shares a frame.
    setImmediate(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    const { producer } = this.#options;
    for (const events of this.#events.take(this.#windowEvents)) {
      const named = this.#first && producer !== undefined;
      this.#first = false;
      this.#frames.push(encodeFrame(events, named ? producer : undefined));
    }
  }

  async #run(): Promise<void> {
    const { producer, giveUpAfterMs = 60_000 } = this.#options;
    const backoff = new Backoff({ baseMs: 50, maxMs: PAUSE_MS_MAX });
    for (;;) {
      const heardAt = this.#heardAt;
      const failure = await this.#stream();
      if (this.#heardAt !== heardAt) backoff.reset();
      const waited = performance.now() - this.#heardAt;
      const over = this.#closing || producer === undefined || !mayPass(failure);
      if (over || (this.#pending > 0 && waited >= giveUpAfterMs)) {
        this.#fail(failure);
        return;
      }
      // Nothing to say: a stream that nobody uses is not opened again.
      if (this.#pending === 0) await this.#used();
      await pause(backoff.nextMs());
      this.#startOver();
    }
  }

  /** Until something is published, or the publisher closed. */
  #used(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #startOver(): void {
    this.#frames = new AsyncQueue();
    // Closed while it paused.
    if (this.#closing) this.#frames.end();
    this.#first = true;
    this.#windowEvents = 1;
    this.#events.startOver();
    this.#schedule();
  }

  /** One stream, until it ends; answers why. */
  async #stream(): Promise<MeshError> {
    const stop = new AbortController();
    const frames = this.#frames;
    const { signal } = stop;
    try {
      for await (const response of this.#client.publishStream(frames, { signal })) {
        this.#windowEvents = response.windowEvents;
        for (const outcome of response.outcomes) this.#answer(outcome);
        this.#compact();
        this.#send();
        if (this.#pending === 0) this.#settled();
      }
      return new MeshError('Unavailable', 'the publish stream has ended');
    } catch (error) {
      return MeshError.from(error);
    } finally {
      frames.end();
      stop.abort();
    }
  }

  /** @throws MeshError when the event and those after it must be sent again on a new stream. */
  #answer({ outcome }: PublishOutcome): void {
    const waiting = this.#waiting[this.#answered];
    if (waiting === undefined) return;
    const result =
      outcome.case === 'receipt'
        ? toReceipt(outcome.value)
        : outcome.case === 'failure'
          ? fromFailure(outcome.value)
          : new MeshError('Internal', 'the answer has no outcome');
    const numbered = this.#options.producer !== undefined;
    if (numbered && result instanceof MeshError && mayBeStored(result)) throw result;
    this.#heardAt = performance.now();
    this.#events.answered();
    this.#pending--;
    waiting.outcomes.push(result);
    if (waiting.outcomes.length < waiting.events) return;
    this.#answered++;
    waiting.resolve(waiting.outcomes);
  }

  #compact(): void {
    if (this.#answered < 1024 && this.#answered < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#answered);
    this.#answered = 0;
  }

  #fail(error: MeshError): void {
    this.#failure ??= error;
    const open = this.#waiting.slice(this.#answered);
    this.#waiting = [];
    this.#answered = 0;
    this.#pending = 0;
    for (const { reject } of open) reject(error);
    this.#settled();
  }

  /** Nothing is open now. */
  #settled(): void {
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** @throws MeshError InvalidArgument for a producer that cannot be sent; the mesh knows the rest. */
function checkOptions({ producer, giveUpAfterMs }: PublisherOptions): void {
  uint32('producer.epoch', producer?.epoch);
  int64('giveUpAfterMs', giveUpAfterMs);
}

const DURABLE = { deliveryClass: DeliveryClass.DURABLE } as const;
const isDirect = ({ deliveryClass }: Item): boolean => deliveryClass === DeliveryClass.DIRECT;

/** Whether it is not known that the event was refused; those behind it wait for it. */
const mayBeStored = ({ code, reason }: MeshError): boolean =>
  code === 'Unavailable' || code === 'DeadlineExceeded' || reason === 'PRODUCER_INTERRUPTED';

/** Whether a new stream may do better. */
const mayPass = (error: MeshError): boolean =>
  mayBeStored(error) || error.code === 'Internal' || error.code === 'Cancelled';
