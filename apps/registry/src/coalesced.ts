/**
 * Runs a task one at a time. Whoever calls while it runs shares the one run that starts after it,
 * and so is promised a run that began after the call.
 */
export class Coalesced {
  readonly #task: () => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  run(): Promise<void> {
    if (this.#current === undefined) return this.#start();
    this.#next ??= this.#current
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  /** Resolves when nothing runs any more; failures were told to their callers. */
  async idle(): Promise<void> {
    while (this.#current !== undefined) await (this.#next ?? this.#current).catch(() => undefined);
  }

  #start(): Promise<void> {
    const run = this.#task().finally(() => {
      if (this.#current === run) this.#current = undefined;
    });
    this.#current = run;
    return run;
  }
}
