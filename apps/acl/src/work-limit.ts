import { MeshError } from '@eventmesh/errors';

/**
 * Lets few run, some wait, and refuses the rest: password hashing costs memory and processor time
 * that callers who have not authenticated yet could otherwise spend without bound.
 */
export class WorkLimit {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #queue: (() => void)[] = [];
  #active = 0;

  /** @param runningMax how many at a time; @param waitingMax how many more may wait. */
  constructor(runningMax: number, waitingMax: number) {
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** @throws MeshError ResourceExhausted when too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#active >= this.#runningMax) {
      if (this.#queue.length >= this.#waitingMax) {
        throw new MeshError('ResourceExhausted', 'too many logins at once; try again later', {
          limit: `${this.#waitingMax} waiting`,
          retryAfterMs: 1000,
        });
      }
      // The one that ends hands its place over, so that nobody slips in between.
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#active++;
    }
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#active--;
      else next();
    }
  }
}
