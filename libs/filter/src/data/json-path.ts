import type { Budget } from '../budget.ts';

/** `undefined`: all members or items. */
export type Step = string | number | undefined;

/** Longest path, in UTF-16 units. */
export const DATA_PATH_MAX = 256;

/** The text is not a path. Caught where a filter is compiled, which knows the field. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
  /** Offset in UTF-16 units, from 0. */
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const NAME = /\.([A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)/y;
const INDEX = /\[(0|[1-9]\d{0,8})\]/y;
const ALL = /\[\*\]/y;
const QUOTED = /\[(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)")\]/y;

/**
 * Parses the part of RFC 9535 that names places without searching: `$`, `.name`, `['name']`, `[0]`,
 * `[*]`.
 *
 * @throws JsonPathError that says where.
 */
export function parseJsonPath(path: string): Step[] {
  if (!path.startsWith('$')) throw new JsonPathError(0, 'a path begins with $');
  const steps: Step[] = [];
  let at = 1;
  while (at < path.length) {
    const [match, step] = stepAt(path, at) ?? [];
    if (match === undefined) {
      throw new JsonPathError(at, ".name, ['name'], [0] or [*] is expected");
    }
    steps.push(step);
    at += match.length;
  }
  return steps;
}

function stepAt(path: string, at: number): [string, Step] | undefined {
  for (const pattern of [NAME, INDEX, ALL, QUOTED]) {
    pattern.lastIndex = at;
    const match = pattern.exec(path);
    if (match === null) continue;
    const text = match[1] ?? match[2];
    if (pattern === ALL) return [match[0], undefined];
    if (pattern === INDEX) return [match[0], Number(text)];
    return [match[0], pattern === NAME ? text : unescape(text ?? '', at)];
  }
  return undefined;
}

/** Escapes are those of JSON, and a backslash before either quote. */
function unescape(text: string, at: number): string {
  const json = text.replace(/\\.|"/gs, (part) => {
    if (part === "\\'") return "'";
    return part === '"' ? '\\"' : part;
  });
  try {
    return JSON.parse(`"${json}"`) as string;
  } catch {
    throw new JsonPathError(at, 'the name in quotes has an escape that JSON does not know');
  }
}

/** What is asked of the values at a path. */
export interface Search {
  readonly path: readonly Step[];
  readonly passes: (value: unknown) => boolean;
  /** Steps for one value that `[*]` finds. */
  readonly each: number;
}

/** An object with more members than this is a hash table, and is sorted to be listed. */
const LARGE = 1000;
const LARGE_MEMBER_STEPS = 80;

/**
 * Whether some value at the path passes. Reads own members only, whatever their names are. False,
 * too, when the budget is overspent.
 */
export function someAt(value: unknown, search: Search, budget: Budget, from = 0): boolean {
  let here = value;
  const { path } = search;
  for (let i = from; i < path.length; i++) {
    const step = path[i];
    if (typeof here !== 'object' || here === null) return false;
    if (step === undefined) return someIn(here, search, budget, i + 1);
    // An array has its indexes as members, and `length`, which is none of JSON.
    if (Array.isArray(here) !== (typeof step === 'number')) return false;
    if (!Object.hasOwn(here, step)) return false;
    here = (here as Readonly<Record<string | number, unknown>>)[step];
  }
  return search.passes(here);
}

function someIn(all: object, search: Search, budget: Budget, from: number): boolean {
  if (Array.isArray(all)) return someOf(all, search, budget, from);
  const members: readonly unknown[] = Object.values(all);
  if (members.length > LARGE && !budget.spend(members.length * LARGE_MEMBER_STEPS)) return false;
  return someOf(members, search, budget, from);
}

function someOf(values: readonly unknown[], search: Search, budget: Budget, from: number): boolean {
  for (const value of values) {
    if (!budget.spend(search.each)) return false;
    if (someAt(value, search, budget, from)) return true;
  }
  return false;
}
