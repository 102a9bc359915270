import type { EventView } from '@eventmesh/event';
import type { Condition } from './condition.ts';
import { Lookup } from './lookup.ts';

/** Up to so many, each filter is asked: that costs no more than looking them up, and no memory. */
const FEW = 8;

/**
 * Values, each with the conditions of its filters, found by event: all those whose filters may be
 * true of it, or in error, and few others. What it leaves out is false without an error, so that
 * asking the filters of what it finds gives what asking all of them would.
 */
export class ConditionIndex<T> {
  readonly #conditions = new Map<T, readonly Condition[]>();
  /** There are more than a few. */
  #lookup: Lookup<T> | undefined;

  get size(): number {
    return this.#conditions.size;
  }

  /** Whether `match` looks at events: with few values it finds them all, whatever the event. */
  get selective(): boolean {
    return this.#lookup !== undefined;
  }

  /**
   * @param conditions As `necessaryConditions` tells them; a value without any is always found.
   * @returns false when the value is there already; then nothing changes.
   */
  add(value: T, conditions: readonly Condition[]): boolean {
    if (this.#conditions.has(value)) return false;
    this.#conditions.set(value, conditions);
    if (this.#lookup !== undefined) this.#lookup.add(value, conditions);
    else if (this.#conditions.size > FEW) {
      this.#lookup = new Lookup();
      for (const [each, own] of this.#conditions) this.#lookup.add(each, own);
    }
    return true;
  }

  remove(value: T): boolean {
    if (!this.#conditions.delete(value)) return false;
    // Not at the very number that builds it, so that one that comes and goes does not build it anew.
    if (this.#conditions.size <= FEW / 2) this.#lookup = undefined;
    else this.#lookup?.remove(value);
    return true;
  }

  /** Adds all values that have to be asked about this event to `found`. */
  match(event: EventView, found: Set<T>): void {
    if (this.#lookup === undefined || !this.#lookup.match(event, found)) this.all(found);
  }

  /** Adds all values to `found`. */
  all(found: Set<T>): void {
    for (const value of this.#conditions.keys()) found.add(value);
  }
}
