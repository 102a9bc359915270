import type { EventView } from '@eventmesh/event';
import { AttributeLookup } from './attribute-lookup.ts';
import { looseness, type Condition, type Guard } from './condition.ts';
import { compileGuard } from './guards.ts';

/** Most attributes, and most guards, that an event is asked for; values that need more are always found. */
const ATTRIBUTES_MAX = 64;
const GUARDS_MAX = 64;

interface Guarded<T> {
  readonly holds: (event: EventView) => boolean;
  /** To be asked about an event that it does not hold for. */
  readonly values: Set<T>;
}

/** Values by one of their conditions each: that under which the fewest others lie. */
export class Lookup<T> {
  readonly #attributes = new Map<string, AttributeLookup<T>>();
  readonly #guards = new Map<string, Guarded<T>>();
  /** Those without a condition to go by. */
  readonly #always = new Set<T>();
  readonly #chosen = new Map<T, Condition>();

  add(value: T, conditions: readonly Condition[]): void {
    const condition = this.#choose(conditions);
    if (condition === undefined) {
      this.#always.add(value);
      return;
    }
    this.#chosen.set(value, condition);
    for (const atom of condition.oneOf) {
      const { attribute } = atom;
      const lookup = this.#attributes.get(attribute) ?? new AttributeLookup(attribute);
      this.#attributes.set(attribute, lookup);
      lookup.add(atom, value);
    }
    for (const guard of condition.provided) {
      const key = keyOf(guard);
      const guarded = this.#guards.get(key) ?? { holds: compileGuard(guard), values: new Set() };
      this.#guards.set(key, guarded);
      guarded.values.add(value);
    }
  }

  remove(value: T): void {
    const condition = this.#chosen.get(value);
    this.#always.delete(value);
    this.#chosen.delete(value);
    if (condition === undefined) return;
    for (const atom of condition.oneOf) {
      const lookup = this.#attributes.get(atom.attribute);
      lookup?.remove(atom, value);
      if (lookup?.size === 0) this.#attributes.delete(atom.attribute);
    }
    for (const key of condition.provided.map(keyOf)) {
      const guarded = this.#guards.get(key);
      guarded?.values.delete(value);
      if (guarded?.values.size === 0) this.#guards.delete(key);
    }
  }

  /** False when the event cannot be read; then whoever is asked has to say so. */
  match(event: EventView, found: Set<T>): boolean {
    try {
      for (const lookup of this.#attributes.values()) lookup.match(event, found);
      for (const { holds, values } of this.#guards.values()) {
        if (!holds(event)) for (const value of values) found.add(value);
      }
    } catch {
      // Attributes are decoded when they are read, and what is no CloudEvent may turn up only then.
      return false;
    }
    for (const value of this.#always) found.add(value);
    return true;
  }

  #choose(conditions: readonly Condition[]): Condition | undefined {
    let best: Condition | undefined;
    let least = Infinity;
    for (const condition of conditions) {
      const cost = this.#costOf(condition);
      if (cost >= least || !this.#hasRoomFor(condition)) continue;
      best = condition;
      least = cost;
    }
    return best;
  }

  /** How many values an event is likely to find with it, in vain. */
  #costOf({ oneOf, provided }: Condition): number {
    let cost = provided.length / 2;
    for (const atom of oneOf) {
      cost += ((this.#attributes.get(atom.attribute)?.count(atom) ?? 0) + 1) * looseness(atom);
    }
    return cost;
  }

  #hasRoomFor({ oneOf, provided }: Condition): boolean {
    const attributes = new Set(oneOf.map(({ attribute }) => attribute));
    const guards = new Set(provided.map(keyOf));
    return (
      newOf(attributes, this.#attributes) + this.#attributes.size <= ATTRIBUTES_MAX &&
      newOf(guards, this.#guards) + this.#guards.size <= GUARDS_MAX
    );
  }
}

const keyOf = ({ attribute, as, orAbsent }: Guard): string =>
  `${as} ${attribute}${orAbsent ? '?' : ''}`;

function newOf(wanted: ReadonlySet<string>, there: ReadonlyMap<string, unknown>): number {
  let count = 0;
  for (const each of wanted) if (!there.has(each)) count++;
  return count;
}
