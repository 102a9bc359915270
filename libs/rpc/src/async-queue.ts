import { MeshError } from '@eventmesh/errors';

/**
 * A queue that one side pushes into and the other iterates: the usual input of a stream. Bounded
 * by the caller, who can see `size`. Iterate it once.
 */
export class AsyncQueue<T> implements AsyncIterable<T> {
  #items: T[] = [];
  /** Of the items that the iteration has taken over, those it has yet to yield. */
  #taken = 0;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: Error | undefined;

  /** Items that are pushed and not yielded. */
  get size(): number {
    return this.#items.length + this.#taken;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Adds an item; ignored after the end. */
  push(item: T): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** Ends the iteration after what is queued; with an error it throws that instead. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error === undefined ? undefined : asError(error);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const items = this.#items;
        this.#items = [];
        this.#taken = items.length;
        for (const item of items) {
          this.#taken--;
          yield item;
        }
        if (this.#items.length > 0) continue;
        if (this.#ended) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.#ended = true;
      this.#taken = 0;
      this.#items = [];
    }
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : MeshError.from(thrown);
