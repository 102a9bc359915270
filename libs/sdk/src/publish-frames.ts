import type { encode } from './event-input.ts';

export type Item = ReturnType<typeof encode>;

/** Events and bytes of one frame; big enough that the cost of a frame does not matter. */
const FRAME_EVENTS = 512;
const FRAME_BYTES = 256 * 1024;

/** Events on their way into a publish stream: those to be sent, and those that are not answered. */
export class PublishFrames {
  readonly #keeps: boolean;
  #queued: Item[] = [];
  /** Sent and not answered, oldest first from `#answered` on; only when they may be sent again. */
  #sent: Item[] = [];
  #answered = 0;
  #unanswered = 0;

  /** @param keeps events until they are answered, so that they can be sent again. */
  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  push(item: Item): void {
    this.#queued.push(item);
  }

  /** Frames as far as the window has room for them. */
  *take(windowEvents: number): Generator<Item[]> {
    let start = 0;
    while (start < this.#queued.length && this.#unanswered < windowEvents) {
      const room = Math.min(FRAME_EVENTS, windowEvents - this.#unanswered);
      const events: Item[] = [];
      let bytes = 0;
      while (start < this.#queued.length && events.length < room && bytes < FRAME_BYTES) {
        const item = this.#queued[start++];
        if (item === undefined) break;
        events.push(item);
        bytes += item.event.length;
      }
      this.#unanswered += events.length;
      if (this.#keeps) for (const event of events) this.#sent.push(event);
      yield events;
    }
    if (start > 0) this.#queued = this.#queued.slice(start);
  }

  /** The oldest event that was sent is answered for good. */
  answered(): void {
    this.#unanswered--;
    this.#answered++;
    if (!this.#keeps || this.#answered < 1024) return;
    this.#sent = this.#sent.slice(this.#answered);
    this.#answered = 0;
  }

  /** On a new stream everything that is not answered goes again, in its order. */
  startOver(): void {
    this.#queued = [...this.#sent.slice(this.#answered), ...this.#queued];
    this.#sent = [];
    this.#answered = 0;
    this.#unanswered = 0;
  }
}
