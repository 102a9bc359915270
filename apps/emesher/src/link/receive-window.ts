/**
 * What the receiving half of a link has in hand: bytes of frames on their way into the store, and
 * answers that the neighbour has not read. While either is at its bound nothing more is read of the
 * neighbour. One that keeps to its window never feels the first.
 */
export class ReceiveWindow {
  readonly #bytesMax: number;
  readonly #answersMax: number;
  readonly #answers: () => number;
  #bytes = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  /** @param answers how many answers wait now. */
  constructor(bytesMax: number, answersMax: number, answers: () => number) {
    this.#bytesMax = bytesMax;
    this.#answersMax = answersMax;
    this.#answers = answers;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    this.#wake?.();
  }

  /** An answer was read. */
  answered(): void {
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Resolves when more may be read, or it is closed. For one reader. */
  async room(): Promise<void> {
    while (!this.#closed && this.#full) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  get #full(): boolean {
    return this.#bytes >= this.#bytesMax || this.#answers() >= this.#answersMax;
  }
}
