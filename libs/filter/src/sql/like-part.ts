/** `_`: any one character. */
export const ANY = -1;

/** A run of characters without `%`, as code points and `ANY`. */
export type Part = readonly number[];

const WORD_BITS = 32;

/**
 * Finds where a part first ends (Shift-And): bit i of the state says that the last i+1 characters
 * are the first i+1 of the part. One step a character for each 32 characters of the part.
 */
export class PartFinder {
  readonly #length: number;
  readonly #words: number;
  /** For each character of the part, the places it may stand at. */
  readonly #masks = new Map<number, Int32Array>();
  /** The places of `_`, which any character may stand at. */
  readonly #others: Int32Array;
  readonly #state: Int32Array;

  constructor(part: Part) {
    this.#length = part.length;
    this.#words = Math.ceil(part.length / WORD_BITS);
    this.#others = this.#mask(part, ANY);
    this.#state = new Int32Array(this.#words);
    for (const code of new Set(part)) {
      if (code !== ANY) this.#masks.set(code, this.#mask(part, code));
    }
  }

  /** One past the earliest occurrence within [from, to); -1 when there is none. */
  endIn(codes: Uint32Array, from: number, to: number): number {
    const state = this.#state.fill(0);
    const last = this.#words - 1;
    const done = 1 << ((this.#length - 1) % WORD_BITS);
    for (let at = from; at < to; at++) {
      const mask = this.#masks.get(codes[at] ?? 0) ?? this.#others;
      let carry = 1;
      for (let word = 0; word <= last; word++) {
        const bits = state[word] ?? 0;
        state[word] = ((bits << 1) | carry) & (mask[word] ?? 0);
        carry = bits >>> (WORD_BITS - 1);
      }
      if (((state[last] ?? 0) & done) !== 0) return at + 1;
    }
    return -1;
  }

  #mask(part: Part, code: number): Int32Array {
    const mask = new Int32Array(this.#words);
    part.forEach((each, place) => {
      if (each !== code && each !== ANY) return;
      const word = Math.floor(place / WORD_BITS);
      mask[word] = (mask[word] ?? 0) | (1 << (place % WORD_BITS));
    });
    return mask;
  }
}
