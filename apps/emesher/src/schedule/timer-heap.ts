/** Timers of one chunk: a tenant with few timers takes one of 16 KiB. */
const CHUNK_BITS = 10;
const CHUNK_TIMERS = 1 << CHUNK_BITS;

/**
 * The timers that wait, soonest first: a binary heap of (due time, position) pairs. They lie in flat
 * chunks, 16 bytes each: a million are sixteen megabytes, nothing for the collector to walk, and
 * nothing is copied as they become more. Of two that are due together the earlier position comes first.
 */
export class TimerHeap {
  readonly #chunks: Float64Array[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** When the next one is due; undefined when there is none. */
  get nextMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#due(0);
  }

  /** Position of the next one. */
  peek(): number | undefined {
    return this.#size === 0 ? undefined : this.#position(0);
  }

  push(dueMs: number, position: number): void {
    const at = this.#size++;
    if (at >> CHUNK_BITS === this.#chunks.length) {
      this.#chunks.push(new Float64Array(2 * CHUNK_TIMERS));
    }
    this.#up(at, dueMs, position);
  }

  /** Takes the next one out and answers its position. */
  pop(): number | undefined {
    if (this.#size === 0) return undefined;
    const first = this.#position(0);
    const last = --this.#size;
    if (last > 0) this.#down(0, this.#due(last), this.#position(last));
    this.#release();
    return first;
  }

  /** Forgets those that are not wanted any more. */
  retain(wanted: (position: number) => boolean): void {
    let kept = 0;
    for (let at = 0; at < this.#size; at++) {
      if (!wanted(this.#position(at))) continue;
      this.#put(kept++, this.#due(at), this.#position(at));
    }
    this.#size = kept;
    for (let at = (kept >> 1) - 1; at >= 0; at--) this.#down(at, this.#due(at), this.#position(at));
    this.#release();
  }

  /** Lets go of chunks that are empty; one is kept for those that come next, unless there are none. */
  #release(): void {
    const needed = (this.#size + CHUNK_TIMERS - 1) >> CHUNK_BITS;
    const kept = needed === 0 ? 0 : needed + 1;
    if (this.#chunks.length > kept) this.#chunks.length = kept;
  }

  /** Puts a timer where it belongs between here and the top. */
  #up(from: number, dueMs: number, position: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(parent, dueMs, position)) break;
      this.#put(at, this.#due(parent), this.#position(parent));
      at = parent;
    }
    this.#put(at, dueMs, position);
  }

  /** Puts a timer where it belongs between here and the leaves. */
  #down(from: number, dueMs: number, position: number): void {
    let at = from;
    for (;;) {
      let least = 2 * at + 1;
      if (least >= this.#size) break;
      const right = least + 1;
      if (right < this.#size && this.#isAfter(least, this.#due(right), this.#position(right))) {
        least = right;
      }
      if (this.#isAfter(least, dueMs, position)) break;
      this.#put(at, this.#due(least), this.#position(least));
      at = least;
    }
    this.#put(at, dueMs, position);
  }

  #isAfter(at: number, dueMs: number, position: number): boolean {
    const due = this.#due(at);
    return due === dueMs ? this.#position(at) > position : due > dueMs;
  }

  #due(at: number): number {
    return this.#chunks[at >> CHUNK_BITS]?.[2 * (at & (CHUNK_TIMERS - 1))] ?? 0;
  }

  #position(at: number): number {
    return this.#chunks[at >> CHUNK_BITS]?.[2 * (at & (CHUNK_TIMERS - 1)) + 1] ?? 0;
  }

  #put(at: number, dueMs: number, position: number): void {
    const chunk = this.#chunks[at >> CHUNK_BITS];
    if (chunk === undefined) return;
    const slot = 2 * (at & (CHUNK_TIMERS - 1));
    chunk[slot] = dueMs;
    chunk[slot + 1] = position;
  }
}
