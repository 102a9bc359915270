/** Numbers of each row, a typed array for each column. */
export type Columns = Readonly<Record<string, Float64Array | Uint32Array>>;

const ROWS_MIN = 256;

/**
 * Rows in order of arrival, as columns of numbers: nothing for the garbage collector to follow.
 * Memory follows what is kept, up to a bound; beyond it the oldest row goes.
 */
export class Ring<C extends Columns> {
  readonly #make: (rows: number) => C;
  readonly #max: number;
  #columns: C;
  #rows = 0;
  #first = 0;
  #count = 0;

  /** @param max Rows kept, at least 1. */
  constructor(max: number, make: (rows: number) => C) {
    this.#max = max;
    this.#make = make;
    this.#columns = make(0);
  }

  /** To be read and written at slots; other ones after a push. */
  get columns(): C {
    return this.#columns;
  }

  get count(): number {
    return this.#count;
  }

  /** The slot of a row; 0 is the oldest. */
  slot(row: number): number {
    return (this.#first + row) % this.#rows;
  }

  /** The slot of a new row, which holds what was there before. */
  push(): number {
    if (this.#count === this.#rows) {
      if (this.#rows < this.#max) this.#grow();
      else this.drop();
    }
    return this.slot(this.#count++);
  }

  /** Forgets the oldest row. */
  drop(): void {
    this.#first = (this.#first + 1) % this.#rows;
    this.#count--;
  }

  #grow(): void {
    const rows = Math.min(this.#max, Math.max(ROWS_MIN, this.#rows * 2));
    const columns = this.#make(rows);
    const first = this.#first;
    for (const [name, old] of Object.entries(this.#columns)) {
      columns[name]?.set(old.subarray(first));
      columns[name]?.set(old.subarray(0, first), this.#rows - first);
    }
    this.#columns = columns;
    this.#rows = rows;
    this.#first = 0;
  }
}
