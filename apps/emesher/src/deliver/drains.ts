/** Consumers whose credit is to be taken back once they have what is there for them now. */
export class Drains {
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  /** Resolves when `end` says so of the consumer; the same promise until then. */
  add(consumer: string): Promise<void> {
    const waiting = this.#waiting.get(consumer) ?? Promise.withResolvers<void>();
    this.#waiting.set(consumer, waiting);
    return waiting.promise;
  }

  /** Ends those of which that is true. */
  end(isOver: (consumer: string) => boolean): void {
    for (const [consumer, { resolve }] of this.#waiting) {
      if (!isOver(consumer)) continue;
      this.#waiting.delete(consumer);
      resolve();
    }
  }
}
