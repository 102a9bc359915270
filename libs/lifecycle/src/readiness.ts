/**
 * Ready when every latch is released. A latch is never taken again; only draining ends readiness.
 */
export class Readiness {
  readonly #waiting = new Set<string>();
  #draining = false;

  /** Adds a latch; call the result once to release it. */
  latch(name: string): () => void {
    this.#waiting.add(name);
    return () => this.#waiting.delete(name);
  }

  drain(): void {
    this.#draining = true;
  }

  get ready(): boolean {
    return !this.#draining && this.#waiting.size === 0;
  }

  /** What keeps it from being ready. */
  get waitingFor(): readonly string[] {
    return this.#draining ? ['draining'] : [...this.#waiting];
  }
}
