import type { Budget } from '../budget.ts';

/** `_`: any one character. */
export const ANY = -1;

/** A run of characters without `%`, as code points and `ANY`. */
export type Part = readonly number[];

const WORD_BITS = 32;

/** Steps for a search, and for each character of it beside one for each word of the part. */
const SEARCH_STEPS = 32;
const CHARACTER_STEPS = 3;

/** What a search ends with that finds no place: there is none, or the steps for it are none. */
export const NOWHERE = -1;
export const OVERSPENT = -2;

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
    this.#others = new Int32Array(this.#words);
    this.#state = new Int32Array(this.#words);
    part.forEach((code, place) => {
      if (code === ANY) allow(this.#others, place);
    });
    part.forEach((code, place) => {
      if (code !== ANY) allow(this.#maskOf(code), place);
    });
  }

  /** One past the earliest occurrence within [from, to); else NOWHERE or OVERSPENT. */
  endIn(codes: Uint32Array, from: number, to: number, budget: Budget): number {
    const steps = this.#words + CHARACTER_STEPS;
    if (!budget.spend(SEARCH_STEPS)) return OVERSPENT;
    const stop = Math.min(to, from + budget.affords(steps));
    const state = this.#state.fill(0);
    const last = this.#words - 1;
    const done = 1 << ((this.#length - 1) % WORD_BITS);
    for (let at = from; at < stop; at++) {
      const mask = this.#masks.get(codes[at] ?? 0) ?? this.#others;
      let carry = 1;
      for (let word = 0; word <= last; word++) {
        const bits = state[word] ?? 0;
        state[word] = ((bits << 1) | carry) & (mask[word] ?? 0);
        carry = bits >>> (WORD_BITS - 1);
      }
      if (((state[last] ?? 0) & done) === 0) continue;
      budget.spend((at + 1 - from) * steps);
      return at + 1;
    }
    return budget.spend((to - from) * steps) ? NOWHERE : OVERSPENT;
  }

  #maskOf(code: number): Int32Array {
    const known = this.#masks.get(code);
    if (known !== undefined) return known;
    const mask = this.#others.slice();
    this.#masks.set(code, mask);
    return mask;
  }
}

function allow(mask: Int32Array, place: number): void {
  const word = Math.floor(place / WORD_BITS);
  mask[word] = (mask[word] ?? 0) | (1 << (place % WORD_BITS));
}
