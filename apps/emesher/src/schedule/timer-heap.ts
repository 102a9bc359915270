/**
 * The timers that wait, soonest first: a binary heap of (due time, position) in two flat arrays, so
 * that a million of them are sixteen megabytes and nothing for the collector to walk. Of two that are
 * due together the earlier position comes first.
 */
export class TimerHeap {
  #due: number[] = [];
  #positions: number[] = [];

  get size(): number {
    return this.#due.length;
  }

  /** When the next one is due; undefined when there is none. */
  get nextMs(): number | undefined {
    return this.#due[0];
  }

  /** Position of the next one. */
  peek(): number | undefined {
    return this.#positions[0];
  }

  push(dueMs: number, position: number): void {
    this.#due.push(dueMs);
    this.#positions.push(position);
    this.#up(this.#due.length - 1);
  }

  /** Takes the next one out and answers its position. */
  pop(): number | undefined {
    const first = this.#positions[0];
    const due = this.#due.pop();
    const position = this.#positions.pop();
    if (due === undefined || position === undefined) return undefined;
    if (this.#due.length > 0) {
      this.#due[0] = due;
      this.#positions[0] = position;
      this.#down(0);
    }
    return first;
  }

  /** Forgets those that are not wanted any more. */
  retain(wanted: (position: number) => boolean): void {
    const [due, positions] = [this.#due, this.#positions];
    this.#due = [];
    this.#positions = [];
    for (const [index, position] of positions.entries()) {
      if (!wanted(position)) continue;
      this.#due.push(due[index] ?? 0);
      this.#positions.push(position);
    }
    for (let at = (this.#due.length >> 1) - 1; at >= 0; at--) this.#down(at);
  }

  #up(at: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(at: number): void {
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.#due.length) return;
      const right = left + 1;
      const least = right < this.#due.length && this.#before(right, left) ? right : left;
      if (!this.#before(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#due[a] ?? 0) - (this.#due[b] ?? 0);
    return difference === 0
      ? (this.#positions[a] ?? 0) < (this.#positions[b] ?? 0)
      : difference < 0;
  }

  #swap(a: number, b: number): void {
    const [due, position] = [this.#due[a] ?? 0, this.#positions[a] ?? 0];
    this.#due[a] = this.#due[b] ?? 0;
    this.#positions[a] = this.#positions[b] ?? 0;
    this.#due[b] = due;
    this.#positions[b] = position;
  }
}
