import { MeshError } from '@eventmesh/errors';
import { movedError } from '../deliver/hold.ts';
import type { TimerBook } from './timer-book.ts';

/** Calls that wait for the owner's next turn. */
const CALLS_MAX = 1000;

interface Call {
  readonly positions: readonly number[];
  readonly resolve: (cancelled: number) => void;
  readonly reject: (error: MeshError) => void;
}

/** Timers that are to be taken back, until the turn in which their owner decides about them. */
export class Cancellations {
  readonly #tenant: string;
  readonly #book: TimerBook;
  #calls: Call[] = [];
  #closed = false;

  constructor(tenant: string, book: TimerBook) {
    this.#tenant = tenant;
    this.#book = book;
  }

  /**
   * Resolves when it is durable with how many of these still waited.
   * @throws MeshError FENCED when the owner ends before; ResourceExhausted.
   */
  add(positions: readonly number[]): Promise<number> {
    if (this.#closed) return Promise.reject(this.#moved());
    if (this.#calls.length >= CALLS_MAX) {
      const text = 'too many scheduled events are being taken back at once; try again';
      const limit = `${CALLS_MAX} calls of a tenant`;
      return Promise.reject(
        new MeshError('ResourceExhausted', text, { limit, retryAfterMs: 1000 }),
      );
    }
    return new Promise((resolve, reject) => this.#calls.push({ positions, resolve, reject }));
  }

  /** Those that the book has come to: `drop` makes it durable that their timers are done with. */
  async turn(drop: (positions: readonly number[]) => Promise<void>): Promise<void> {
    if (this.#calls.length === 0) return;
    const { upTo } = this.#book;
    const known = ({ positions }: Call) => positions.every((position) => position <= upTo);
    const calls = this.#calls.filter(known);
    if (calls.length === 0) return;
    const dropped = new Set<number>();
    const counts = calls.map(({ positions }) => {
      const before = dropped.size;
      for (const position of positions) if (this.#book.waits(position)) dropped.add(position);
      return dropped.size - before;
    });
    // What cannot be stored ends the owner, and so these calls.
    if (dropped.size > 0) await drop([...dropped]);
    this.#calls = this.#calls.filter((call) => !calls.includes(call));
    for (const [index, { resolve }] of calls.entries()) resolve(counts[index] ?? 0);
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#calls.splice(0)) reject(this.#moved());
  }

  #moved(): MeshError {
    return movedError(`the scheduled events of ${this.#tenant}`);
  }
}
