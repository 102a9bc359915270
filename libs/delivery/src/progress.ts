/** Both ends included. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

/**
 * A subscription's progress through one partition. Positions are looked at in rising order; each is
 * open until it is settled. Everything below the floor is settled.
 */
export class PartitionProgress {
  /** Everything up to here was looked at. */
  #upTo: number;
  /** Open positions; a Map because its iteration order, here the rising one, is guaranteed. */
  readonly #open = new Map<number, true>();
  /** Settled before the restart, above the floor; consumed as reading passes them. */
  #restored: PositionRange[];
  #dirty = false;

  /** Everything up to here was looked at, and counted, before the restart. */
  readonly countedUpTo: number;

  /** @param floor First position not settled yet. */
  constructor(floor: number, settled: readonly PositionRange[] = []) {
    this.#upTo = floor - 1;
    this.#restored = [...settled];
    this.countedUpTo = settled.at(-1)?.to ?? floor - 1;
  }

  /** First position to read. */
  get next(): number {
    return this.#upTo + 1;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  /** Whether a position was settled before a restart, so that it must not be delivered again. */
  wasSettled(position: number): boolean {
    let [range] = this.#restored;
    while (range !== undefined && range.to < position) {
      this.#restored.shift();
      [range] = this.#restored;
    }
    return range !== undefined && range.from <= position;
  }

  /** Looked at and not settled yet. Positions come in rising order. */
  open(position: number): void {
    this.#open.set(position, true);
    this.#upTo = position;
  }

  /** Everything up to here was looked at; what is not open is settled. */
  advance(upTo: number): void {
    if (upTo <= this.#upTo) return;
    this.#upTo = upTo;
    this.#dirty = true;
  }

  /** False when the position was not open. */
  settle(position: number): boolean {
    const was = this.#open.delete(position);
    if (was) this.#dirty = true;
    return was;
  }

  get floor(): number {
    const first = this.#open.keys().next();
    return first.done === true ? this.#upTo + 1 : first.value;
  }

  /**
   * The floor and what is settled above it, at most `rangesMax` ranges: what does not fit is
   * delivered again after a crash. Marks the progress clean.
   */
  take(rangesMax: number): { readonly floor: number; readonly settled: PositionRange[] } {
    this.#dirty = false;
    const settled: PositionRange[] = [];
    let floor: number | undefined;
    let after = 0;
    for (const position of this.#open.keys()) {
      if (floor === undefined) floor = position;
      else if (position > after) settled.push({ from: after, to: position - 1 });
      after = position + 1;
      if (settled.length === rangesMax) return { floor, settled };
    }
    if (floor === undefined) return { floor: this.#upTo + 1, settled: this.#aboveFloor() };
    if (after <= this.#upTo) settled.push({ from: after, to: this.#upTo });
    return { floor, settled: [...settled, ...this.#aboveFloor()] };
  }

  /** Ranges restored from an earlier life that reading has not passed yet still count. */
  #aboveFloor(): PositionRange[] {
    return this.#restored.filter(({ from }) => from > this.#upTo);
  }

  /** A failed write: the progress has to be written again. */
  markDirty(): void {
    this.#dirty = true;
  }
}
