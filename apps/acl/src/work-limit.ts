import { MeshError } from '@eventmesh/errors';

/**
 * Lets few run, some wait, and refuses the rest: password hashing costs memory and processor time
 * that callers who have not authenticated yet could otherwise spend without bound.
 */
export class WorkLimit {
  readonly #running: number;
  readonly #waiting: number;
  readonly #queue: (() => void)[] = [];
  #active = 0;

  /** @param running how many at a time; @param waiting how many more may wait. */
  constructor(running: number, waiting: number) {
    this.#running = running;
    this.#waiting = waiting;
  }

  /** @throws MeshError ResourceExhausted when too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#active >= this.#running) {
      if (this.#queue.length >= this.#waiting) {
        throw new MeshError('ResourceExhausted', 'too many logins at once; try again later', {
          limit: `${this.#waiting} waiting`,
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
