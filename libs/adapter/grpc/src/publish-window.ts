/** What a frame weighs while it is unanswered. */
export interface Load {
  readonly events: number;
  readonly bytes: number;
}

/** How much of one publish stream may be unanswered. */
export class PublishWindow {
  readonly #eventsMax: number;
  readonly #bytesMax: number;
  events = 0;
  bytes = 0;

  constructor(eventsMax: number, bytesMax: number) {
    this.#eventsMax = eventsMax;
    this.#bytesMax = bytesMax;
  }

  /** No further frame is read. A frame that is there is taken, so that each fits in the end. */
  get full(): boolean {
    return this.events >= this.#eventsMax || this.bytes >= this.#bytesMax;
  }

  take({ events, bytes }: Load): void {
    this.events += events;
    this.bytes += bytes;
  }

  give({ events, bytes }: Load): void {
    this.events -= events;
    this.bytes -= bytes;
  }
}
