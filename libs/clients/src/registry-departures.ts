/**
 * Members that seem to have left just when the registry came back. It may have been away for longer
 * than their leases, which nobody could renew; those who live join again in a moment, and for others
 * they were never gone. So a departure that is told within `graceMs` of the return counts at the end of
 * that time, unless the member is there again.
 */
export class RegistryDepartures {
  readonly #graceMs: number;
  readonly #leave: (id: string) => void;
  readonly #waiting = new Set<string>();
  #end: NodeJS.Timeout | undefined;

  constructor(graceMs: number, leave: (id: string) => void) {
    this.#graceMs = graceMs;
    this.#leave = leave;
  }

  /** The registry is back. */
  returned(): void {
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.#over(), this.#graceMs);
  }

  left(id: string): void {
    if (this.#end === undefined) this.#leave(id);
    else this.#waiting.add(id);
  }

  here(id: string): void {
    this.#waiting.delete(id);
  }

  close(): void {
    clearTimeout(this.#end);
  }

  #over(): void {
    this.#end = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const id of waiting) this.#leave(id);
  }
}
