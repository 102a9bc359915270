/** First in, first out, without moving what is behind the head. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  *values(): Generator<T> {
    for (const item of this.#items) if (item !== undefined) yield item;
  }

  /** Puts the item that was shifted last back in front. */
  unshift(item: T): void {
    if (this.#head === 0) this.#items.unshift(item);
    else this.#items[--this.#head] = item;
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    // Halving keeps the cost of moving constant per item.
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** Items by due time, earliest first; items of one time in the order they came. */
export class DueHeap<T> {
  readonly #heap: { readonly due: number; readonly order: number; readonly item: T }[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  get nextDue(): number | undefined {
    return this.#heap[0]?.due;
  }

  /** In no particular order. */
  *values(): Generator<T> {
    for (const { item } of this.#heap) yield item;
  }

  push(due: number, item: T): void {
    const heap = this.#heap;
    heap.push({ due, order: this.#order++, item });
    for (let child = heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1;
      if (!this.#before(child, parent)) break;
      this.#swap(child, parent);
      child = parent;
    }
  }

  /** Removes and returns the earliest item if it is due. */
  popDue(now: number): T | undefined {
    const heap = this.#heap;
    const [top] = heap;
    if (top === undefined || top.due > now) return undefined;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return top.item;
  }

  #sink(): void {
    const size = this.#heap.length;
    for (let parent = 0; ;) {
      const left = parent * 2 + 1;
      const right = left + 1;
      let first = parent;
      if (left < size && this.#before(left, first)) first = left;
      if (right < size && this.#before(right, first)) first = right;
      if (first === parent) return;
      this.#swap(first, parent);
      parent = first;
    }
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return false;
    return x.due < y.due || (x.due === y.due && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}
