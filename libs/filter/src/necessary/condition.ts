/** What the canonical string of an attribute is, begins with or ends with. */
export interface Atom {
  readonly attribute: string;
  readonly kind: 'exact' | 'prefix' | 'suffix';
  readonly text: string;
}

/**
 * That an expression which looks at an attribute is not in error by it: it is there and no longer
 * than SQL reads (`text`), and a String or can be cast to an Integer or a Boolean.
 */
export interface Guard {
  readonly attribute: string;
  readonly as: 'text' | 'string' | 'integer' | 'boolean';
  /** An event without the attribute passes, too: the filter is false for it before it looks. */
  readonly orAbsent: boolean;
}

/**
 * Something that a filter cannot be true without: for an event that all of `provided` hold for and
 * none of `oneOf`, the filter is false, and not in error. Of any other event it says nothing.
 */
export interface Condition {
  readonly oneOf: readonly Atom[];
  readonly provided: readonly Guard[];
}

/** What is known of a filter, or a part of one, without an event. */
export interface Findings {
  /** Any one of them is enough to rule an event out. */
  readonly conditions: readonly Condition[];
  /** Where these hold, evaluating it gives no error; undefined: nobody can tell beforehand. */
  readonly errorFree: readonly Guard[] | undefined;
  /** Attributes that an event has for which it is true. */
  readonly ensures: readonly string[];
}

/** Most alternatives of a condition; a filter with more has none. */
export const ATOMS_MAX = 32;
/** Most that a condition may depend on. */
export const GUARDS_MAX = 8;
/** Most conditions of one list of filters that are kept, the first ones. */
export const CONDITIONS_MAX = 16;
/** As much of a prefix or suffix as an atom asks for, in UTF-16 units. */
export const AFFIX_MAX = 64;

export const NOTHING_KNOWN: Findings = { conditions: [], errorFree: undefined, ensures: [] };
/** Says yes or no without an error, and nothing more is known of it. */
export const NEVER_IN_ERROR: Findings = { conditions: [], errorFree: [], ensures: [] };

/** Cut to what an index looks up: a longer one begins, or ends, with it all the same. */
export function atom(attribute: string, kind: Atom['kind'], text: string): Atom {
  if (kind === 'prefix') return { attribute, kind, text: text.slice(0, AFFIX_MAX) };
  if (kind === 'suffix') return { attribute, kind, text: text.slice(-AFFIX_MAX) };
  return { attribute, kind, text };
}

/** How many events an atom is likely to let through, beside an exact one. */
export const looseness = ({ kind, text }: Atom): number =>
  kind === 'exact' ? 1 : 1 + AFFIX_MAX / 2 / text.length;
