/** Positions of one page: 2,048 words of 32. */
const PAGE_POSITIONS = 1 << 16;
const WORD_BITS = 5;

interface Page {
  readonly words: Uint32Array;
  count: number;
}

/**
 * Positions of a partition, most of them neighbours: a bit each, in pages of 8 KiB that are let go of
 * once they are empty. A million are 128 KiB, where a `Set` of them takes forty megabytes.
 */
export class PositionSet {
  /** By the number of the page. */
  readonly #pages = new Map<number, Page>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(position: number): boolean {
    const page = this.#pages.get(pageOf(position));
    return page !== undefined && ((page.words[wordOf(position)] ?? 0) & bitOf(position)) !== 0;
  }

  add(position: number): void {
    const number = pageOf(position);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = { words: new Uint32Array(PAGE_POSITIONS >> WORD_BITS), count: 0 };
      this.#pages.set(number, page);
    }
    const word = page.words[wordOf(position)] ?? 0;
    if ((word & bitOf(position)) !== 0) return;
    page.words[wordOf(position)] = word | bitOf(position);
    page.count++;
    this.#size++;
  }

  delete(position: number): void {
    const page = this.#pages.get(pageOf(position));
    const word = page?.words[wordOf(position)] ?? 0;
    if (page === undefined || (word & bitOf(position)) === 0) return;
    page.words[wordOf(position)] = word & ~bitOf(position);
    this.#size--;
    if (--page.count === 0) this.#pages.delete(pageOf(position));
  }

  /** The first one that is not below `from`; undefined when there is none. */
  next(from: number): number | undefined {
    const first = pageOf(from);
    const here = this.#pages.get(first);
    const found = here === undefined ? undefined : firstIn(here, from % PAGE_POSITIONS);
    if (found !== undefined) return first * PAGE_POSITIONS + found;
    let least = Infinity;
    for (const number of this.#pages.keys()) {
      if (number > first && number < least) least = number;
    }
    const page = this.#pages.get(least);
    // No page is empty.
    return page === undefined ? undefined : least * PAGE_POSITIONS + (firstIn(page, 0) ?? 0);
  }
}

const pageOf = (position: number): number => Math.floor(position / PAGE_POSITIONS);
const wordOf = (position: number): number => (position % PAGE_POSITIONS) >> WORD_BITS;
const bitOf = (position: number): number => 1 << (position % 32);

function firstIn({ words }: Page, from: number): number | undefined {
  let mask = -1 << (from & 31);
  for (let at = from >> WORD_BITS; at < words.length; at++) {
    const word = (words[at] ?? 0) & mask;
    if (word !== 0) return (at << WORD_BITS) + (31 - Math.clz32(word & -word));
    mask = -1;
  }
  return undefined;
}
