import { MeshError } from '@eventmesh/errors';

/** Of the budget, what is left free again once it was exceeded, so that not every byte looks anew. */
const RELIEF = 1 / 8;

export interface MessageBudgetOptions {
  /** Bytes; at least the largest message. */
  readonly max: number;
  /** What a message is called where it is refused: `request`, `body`. */
  readonly field: string;
  /** Told of each call that is refused. */
  readonly onRefused?: () => void;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

/** A call whose message has come in part. */
interface Holding {
  bytes: number;
  sinceMs: number;
  readonly refuse: (error: MeshError) => void;
}

/**
 * Bounds the bytes that all calls of a server together keep of messages that have not come whole.
 * Beyond it those calls are refused first that have kept the most for the longest: who sends a large
 * message at a time is not held up by who begins many and ends none.
 */
export class MessageBudget {
  readonly #options: MessageBudgetOptions;
  readonly #now: () => number;
  readonly #holding = new Set<Holding>();
  #bytes = 0;

  constructor(options: MessageBudgetOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * For one call.
   *
   * @param refuse Ends the call and drops what it keeps.
   * @returns what to call with the bytes of its unfinished message whenever they change; 0 at the end.
   */
  share(refuse: (error: MeshError) => void): (bytes: number) => void {
    const holding: Holding = { bytes: 0, sinceMs: 0, refuse };
    return (bytes) => {
      this.#hold(holding, bytes);
      if (this.#bytes > this.#options.max) this.#relieve();
    };
  }

  #hold(holding: Holding, bytes: number): void {
    if (holding.bytes === 0) holding.sinceMs = this.#now();
    this.#bytes += bytes - holding.bytes;
    holding.bytes = bytes;
    if (bytes === 0) this.#holding.delete(holding);
    else this.#holding.add(holding);
  }

  #relieve(): void {
    const { max, field, onRefused } = this.#options;
    const nowMs = this.#now();
    const burden = ({ bytes, sinceMs }: Holding) => bytes * (nowMs - sinceMs + 1);
    const worst = [...this.#holding].sort((a, b) => burden(b) - burden(a));
    for (const holding of worst) {
      if (this.#bytes <= max * (1 - RELIEF)) break;
      this.#hold(holding, 0);
      onRefused?.();
      holding.refuse(tooMuch(field, max));
    }
  }
}

const tooMuch = (field: string, max: number): MeshError =>
  new MeshError(
    'ResourceExhausted',
    `${field}: all messages that have come in part may have ${max} bytes together, and this one had ` +
      'the most for the longest; send it again later, smaller messages, or fewer at a time',
    {
      field,
      limit: `${max} bytes`,
      reason: 'UNFINISHED_MESSAGES',
      retryAfterMs: 1000,
    },
  );
