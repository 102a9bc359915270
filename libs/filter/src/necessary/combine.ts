import {
  ATOMS_MAX,
  CONDITIONS_MAX,
  GUARDS_MAX,
  looseness,
  type Condition,
  type Findings,
  type Guard,
} from './condition.ts';

/**
 * Parts that are asked from left to right until one is false. A part's condition counts only where
 * none of those before it can be in error: an error is to be counted, so somebody has to meet it.
 */
export function everyOf(parts: readonly Findings[]): Findings {
  const conditions: Condition[] = [];
  const ensures: string[] = [];
  let before: readonly Guard[] | undefined = [];
  for (const part of parts) {
    for (const { oneOf, provided } of part.conditions) {
      const all = merged(before, spared(provided, ensures));
      if (all.length <= GUARDS_MAX && conditions.length < CONDITIONS_MAX) {
        conditions.push({ oneOf, provided: all });
      }
    }
    if (part.errorFree === undefined) return { conditions, errorFree: undefined, ensures };
    before = merged(before, spared(part.errorFree, ensures));
    ensures.push(...part.ensures);
  }
  return { conditions, errorFree: before, ensures };
}

/** Parts that are asked from left to right until one is true: it takes a condition of each. */
export function someOf(parts: readonly Findings[]): Findings {
  let errorFree: readonly Guard[] | undefined = [];
  for (const part of parts) {
    errorFree = errorFree && part.errorFree && merged(errorFree, part.errorFree);
  }
  const condition = alternatives(parts);
  return { conditions: condition === undefined ? [] : [condition], errorFree, ensures: [] };
}

function alternatives(parts: readonly Findings[]): Condition | undefined {
  const oneOf: Condition['oneOf'][number][] = [];
  let provided: readonly Guard[] = [];
  for (const { conditions } of parts) {
    const [best] = conditions.toSorted((a, b) => cost(a) - cost(b));
    if (best === undefined) return undefined;
    oneOf.push(...best.oneOf);
    provided = merged(provided, best.provided);
  }
  if (oneOf.length > ATOMS_MAX || provided.length > GUARDS_MAX) return undefined;
  return { oneOf, provided };
}

const cost = ({ oneOf, provided }: Condition): number =>
  oneOf.reduce((sum, each) => sum + looseness(each), 0) + provided.length / 2;

/** What comes after a part that is false without the attribute does not meet it absent. */
function spared(guards: readonly Guard[], ensured: readonly string[]): readonly Guard[] {
  return guards.map((guard) =>
    ensured.includes(guard.attribute) ? { ...guard, orAbsent: true } : guard,
  );
}

function merged(some: readonly Guard[], more: readonly Guard[]): readonly Guard[] {
  const all = [...some];
  for (const guard of more) {
    const { attribute, as, orAbsent } = guard;
    const there = all.some(
      (each) => each.attribute === attribute && each.as === as && each.orAbsent === orAbsent,
    );
    if (!there) all.push(guard);
  }
  return all;
}
