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

/** An event of a call to `publishMany`. */
export interface PublishEntry extends PublishOptions {
  readonly topic: string;
  readonly event: EventInput;
}

/** One call that waits for the outcomes of its events. */
interface Waiting {
  readonly events: number;
  readonly outcomes: (Receipt | MeshError)[];
  readonly resolve: (outcomes: (Receipt | MeshError)[]) => void;
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
  /** Calls at the head of `#waiting` that have all their outcomes. */
  #answered = 0;
  #pending = 0;
  /** Events sent and not answered. */
  #unanswered = 0;
  #windowEvents = 1;
  #scheduled = false;
  #failure: MeshError | undefined;
  readonly #done: Promise<void>;

  constructor(client: Client<typeof PublisherService>) {
    this.#done = this.#receive(client);
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
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#frames.end();
    await this.#done;
  }

  #enqueue(items: readonly Item[]): Promise<(Receipt | MeshError)[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      for (const item of items) this.#queued.push(item);
      this.#waiting.push({ events: items.length, outcomes: [], resolve, reject });
      this.#pending += items.length;
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
    const waiting = this.#waiting[this.#answered];
    if (waiting === undefined) return;
    this.#pending--;
    const { outcomes } = waiting;
    if (outcome.case === 'receipt') outcomes.push(toReceipt(outcome.value));
    else if (outcome.case === 'failure') outcomes.push(fromFailure(outcome.value));
    else outcomes.push(new MeshError('Internal', 'the answer has no outcome'));
    if (outcomes.length < waiting.events) return;
    this.#answered++;
    waiting.resolve(outcomes);
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
  }
}
