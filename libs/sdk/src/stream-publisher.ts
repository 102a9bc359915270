import { MeshError } from '@eventmesh/errors';
import type { PublishOutcome } from '@eventmesh/proto-gen/publisher';
import type { PublisherService } from '@eventmesh/proto-gen/wire';
import { AsyncQueue, fromFailure, type Client } from '@eventmesh/rpc';
import {
  encode,
  toReceipt,
  type EventInput,
  type PublishOptions,
  type Receipt,
} from './event-input.ts';

type Item = ReturnType<typeof encode>;

interface Waiting {
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: MeshError) => void;
}

/** Events and bytes of one frame; big enough that the cost of a frame does not matter. */
const FRAME_EVENTS = 512;
const FRAME_BYTES = 256 * 1024;

/**
 * A publish stream. Whatever is published while the previous frame is on its way goes into the next
 * one, so an idle stream is quick and a busy one sends big frames. After a failure every open
 * promise is rejected and the stream is over: whether those events were stored is unknown, and
 * publishing them again with the same ids is safe within the duplicate window.
 */
export class StreamPublisher {
  readonly #frames = new AsyncQueue<{ events: Item[] }>();
  #queued: Item[] = [];
  #waiting: Waiting[] = [];
  #answered = 0;
  #unanswered = 0;
  #windowEvents = 1;
  #scheduled = false;
  #failure: MeshError | undefined;
  readonly #done: Promise<void>;

  constructor(client: Client<typeof PublisherService>) {
    this.#done = this.#receive(client);
  }

  /** Resolves with the receipt; rejects with why the event was refused. */
  publish(topic: string, event: EventInput, options: PublishOptions = {}): Promise<Receipt> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#queued.push(encode(topic, event, options));
      this.#waiting.push({ resolve, reject });
      this.#schedule();
    });
  }

  /** Events published and not answered yet. */
  get pending(): number {
    return this.#waiting.length - this.#answered;
  }

  /** Waits for the open answers, then ends the stream. */
  async close(): Promise<void> {
    while (this.#failure === undefined && this.pending > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#frames.end();
    await this.#done;
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
    let start = 0;
    while (start < this.#queued.length && this.#unanswered < this.#windowEvents) {
      const room = Math.min(FRAME_EVENTS, this.#windowEvents - this.#unanswered);
      const events: Item[] = [];
      let bytes = 0;
      while (start < this.#queued.length && events.length < room && bytes < FRAME_BYTES) {
        const item = this.#queued[start++];
        if (item === undefined) break;
        events.push(item);
        bytes += item.event.length;
      }
      this.#unanswered += events.length;
      this.#frames.push({ events });
    }
    if (start > 0) this.#queued = this.#queued.slice(start);
  }

  async #receive(client: Client<typeof PublisherService>): Promise<void> {
    try {
      for await (const { outcomes, windowEvents } of client.publishStream(this.#frames)) {
        this.#windowEvents = windowEvents;
        this.#unanswered -= outcomes.length;
        for (const outcome of outcomes) this.#answer(outcome);
        this.#compact();
        this.#send();
      }
      this.#fail(new MeshError('Unavailable', 'the publish stream has ended'));
    } catch (error) {
      this.#fail(MeshError.from(error));
    }
  }

  #answer({ outcome }: PublishOutcome): void {
    const waiting = this.#waiting[this.#answered++];
    if (outcome.case === 'receipt') waiting?.resolve(toReceipt(outcome.value));
    else if (outcome.case === 'failure') waiting?.reject(fromFailure(outcome.value));
    else waiting?.reject(new MeshError('Internal', 'the answer has no outcome'));
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
    for (const { reject } of open) reject(error);
  }
}
